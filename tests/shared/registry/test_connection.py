"""Clients that give up when their owner must."""

import socket
import threading
import time
from pathlib import Path

import pytest
from redis import Redis, RedisError
from redis.exceptions import ConnectionError, TimeoutError

from deploy.embedded_server import EmbeddedServer
from deploy.system import free_port
from shared.registry import keys
from shared.registry.connection import connect
from shared.registry.gate import Gate, Leases
from shared.registry.step import Queue
from tests.shared.registry.steps import QUEUE, step


def test_without_patience_a_refusal_is_told_at_once():
    with connect(f"redis://127.0.0.1:{free_port('127.0.0.1')}/0") as redis:
        begun = time.monotonic()
        with pytest.raises(ConnectionError):
            Gate(redis, Leases()).grant(QUEUE)
        assert time.monotonic() - begun < 2


def test_a_server_that_accepts_and_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with connect(url) as redis, pytest.raises(TimeoutError):
            redis.ping()


def test_a_patient_client_lives_through_a_restart(tmp_path: Path):
    with EmbeddedServer(tmp_path / "redis") as server, connect(server.url, patience=50) as redis:
        gate = Gate(redis, Leases())
        gate.submit(step("a"))
        server.stop()
        server.start()
        assert gate.submit(step("a")) == "waiting"


def test_a_hasty_client_is_told_and_works_again_after_a_restart(tmp_path: Path):
    with EmbeddedServer(tmp_path / "redis") as server, connect(server.url) as redis:
        gate = Gate(redis, Leases())
        server.stop()
        with pytest.raises(RedisError):
            gate.submit(step("a"))
        server.start()
        assert gate.submit(step("a")) == "waiting"


def test_every_key_that_calls_leave_is_under_one_tag(redis: Redis, gate: Gate):
    gate.set_caps({QUEUE: 3})
    gate.pace("PACS", 1)
    for queue in Queue:
        gate.submit(step(queue, queue=queue))
        gate.grant(queue)
    found = redis.keys("*")
    assert len(found) > 5
    assert all(key.startswith(keys.PREFIX) for key in found)


def test_a_patient_client_gives_up_once_its_owner_has_to_stop():
    over = threading.Event()
    url = f"redis://127.0.0.1:{free_port('127.0.0.1')}/0"
    with connect(url, patience=600, over=over) as redis:
        soon = threading.Timer(0.5, over.set)
        soon.start()
        begun = time.monotonic()
        with pytest.raises(ConnectionError):
            redis.ping()
        assert 0.4 < time.monotonic() - begun < 5
