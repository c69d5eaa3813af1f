"""What every test stands on: signals as usual; and what tests of several folders ask for."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from deploy.embedded_server import EmbeddedServer
from shared.registry.connection import connect
from tests.support.certificates import Hospital
from tests.support.receivers import LocalReceiver, local_receiver
from tests.workers.site import Site


@pytest.fixture(scope="session", autouse=True)
def _usual_signals() -> None:
    """Under nohup, or behind a shell's `&`, our children would ignore what they are sent."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One server for the whole run; its `url` is what to connect to."""
    with EmbeddedServer(Path(tmp_path_factory.mktemp("redis"))) as server:
        yield server


@pytest.fixture
def redis(redis_server: EmbeddedServer) -> Iterator[Redis]:
    """A client of that server, which is empty."""
    with connect(redis_server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def make_site(
    tmp_path: Path, redis: Redis, redis_server: EmbeddedServer
) -> Iterator[Callable[..., Site]]:
    """A function of settings' sections; every site shares the server, which is empty before."""
    made: list[Site] = []

    def make(**sections: Any) -> Site:
        made.append(Site(tmp_path, redis_server.url, **sections))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[LocalReceiver]:
    """In this process."""
    with local_receiver(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return Hospital(tmp_path_factory.mktemp("certificates"))
