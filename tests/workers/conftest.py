from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.workers.pacs import Pacs
from tests.workers.site import Site


@pytest.fixture
def make_site(tmp_path: Path, redis: Redis, redis_server: Any) -> Iterator[Callable[..., Site]]:
    """A function of settings' sections; every site shares the server, which is empty before."""
    made: list[Site] = []

    def make(**sections: Any) -> Site:
        made.append(Site(tmp_path, redis_server.url, **sections))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site with the AE title BRAIN, whose one pipeline is a forward to nowhere."""
    return make_site()


@pytest.fixture(scope="session")
def running_pacs() -> Iterator[Pacs]:
    with Pacs() as running:
        yield running


@pytest.fixture
def pacs(running_pacs: Pacs) -> Pacs:
    running_pacs.forget()
    return running_pacs
