"""What every test stands on: signals as usual, and a real Redis-compatible server to ask for."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from deploy.embedded_server import EmbeddedServer
from shared.registry.connection import connect


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
