"""The embedded server, as a real process."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from deploy.embedded_server import (
    EmbeddedServer,
    ServerDirectoryInUseError,
    ServerNotStartedError,
    answers,
    binary,
    running_url,
)
from deploy.engine import WrongEngineError
from shared.locked_file import LockedFile
from tests.support.waiting import wait_for


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "redis") as server:
        yield server


def kill(server: EmbeddedServer) -> None:
    """SIGKILL, seen through to the end: the directory is free again."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    server.stop()


def test_the_package_still_has_the_program_where_we_look() -> None:
    assert os.access(binary(), os.X_OK)


def test_it_answers_once_started_and_no_more_once_stopped(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server:
        assert redis.Redis.from_url(server.url).ping()
    assert not answers(tmp_path, server.port)
    assert server.pid is None


def test_others_find_it_by_its_directory_while_it_runs(tmp_path: Path) -> None:
    assert running_url(tmp_path) is None
    with EmbeddedServer(tmp_path) as server:
        assert running_url(tmp_path) == server.url
    assert running_url(tmp_path) is None


def test_a_server_of_another_directory_on_the_noted_port_is_not_it(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    (tmp_path / "port").write_text(str(server.port))
    assert running_url(tmp_path) is None


def test_it_runs_as_the_job_records_need_it(server: EmbeddedServer) -> None:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        assert client.config_get("appendonly")["appendonly"] == "yes"
        assert client.config_get("appendfsync")["appendfsync"] == "everysec"
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("bind")["bind"] == "127.0.0.1"
        assert client.config_get("save")["save"] == ""


def test_what_was_synced_outlives_a_sigkill(server: EmbeddedServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        for number in range(50):
            client.rpush("queue", f"task {number}")
        assert client.execute_command("WAITAOF", 1, 0, 10_000)[0] == 1
    kill(server)
    with EmbeddedServer(server.directory) as again, redis.Redis.from_url(again.url) as client:
        assert client.llen("queue") == 50


def test_being_stopped_loses_nothing(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("job", "done")
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.get("job") == b"done"


def test_two_never_share_a_directory(server: EmbeddedServer) -> None:
    with pytest.raises(ServerDirectoryInUseError):
        EmbeddedServer(server.directory).start()
    kill(server)
    with EmbeddedServer(server.directory) as again:
        assert answers(again.directory, again.port)


def test_the_lock_is_the_servers_own_and_ends_with_it(server: EmbeddedServer) -> None:
    path = server.directory / "server.lock"
    assert LockedFile.try_lock(path) is None
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)

    def is_free() -> bool:
        lock = LockedFile.try_lock(path)
        if lock:
            lock.close()
        return lock is not None

    wait_for(is_free)


def test_data_of_a_newer_engine_are_refused_and_left_alone(tmp_path: Path) -> None:
    note = json.dumps({"name": "valkey", "version": "99.0.0"})
    (tmp_path / "engine.json").write_text(note)
    with pytest.raises(WrongEngineError, match=r"99\.0\.0"):
        EmbeddedServer(tmp_path).start()
    assert (tmp_path / "engine.json").read_text() == note
    assert not (tmp_path / "appendonlydir").exists()
    with LockedFile.lock(tmp_path / "server.lock"):
        pass  # not left locked


def test_a_server_that_cannot_listen_says_so(server: EmbeddedServer, tmp_path: Path) -> None:
    with pytest.raises(ServerNotStartedError):
        EmbeddedServer(tmp_path / "other", server.port).start(ready_within=5)
