import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
import tomli_w
from redis import Redis

from deploy.embedded_server import EmbeddedServer
from shared.ids import new_id
from shared.job_folder import JobFolder
from shared.registry.jobs import JobRecords
from shared.tree import StorageTree
from tests.shared.registry.jobs import job


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A verb that runs in this process may point the log at a stream that is closed after it."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def make_job(
    tmp_path: Path, redis: Redis, redis_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """A function of a job's fields; the job is on disk and in Redis. Its id.

    The command is run by alice, in a folder whose settings know PACS and OTHER.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "alice")
    monkeypatch.setenv("LOGNAME", "alice")
    tree = StorageTree(tmp_path / "storage")
    tree.create()
    there = {"ae_title": "THERE", "host": "127.0.0.1", "port": 104}
    settings = {
        "storage": {"root": "storage"},
        "redis": {"url": redis_server.url},
        "destinations": {"PACS": there, "OTHER": there},
    }
    Path("penstock.toml").write_text(tomli_w.dumps(settings))

    def make(**fields: object) -> str:
        made = job(new_id(), **fields)
        folder = JobFolder(tree, made.id)
        folder.path.mkdir()
        made.write(folder.path / "state.json")
        JobRecords(redis).create(made, made.state, "made")
        return made.id

    return make
