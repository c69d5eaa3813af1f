from collections.abc import Callable, Iterator

import pytest

from tests.workers.pacs import Pacs
from tests.workers.site import Site


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
