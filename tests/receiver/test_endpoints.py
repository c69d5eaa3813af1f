"""What an operator's tools see over HTTP."""

import contextlib
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.tree import Usage
from tests.support.receivers import LocalReceiver, local_receiver
from tests.support.samples import data_set
from tests.support.waiting import wait_for


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[LocalReceiver]:
    with local_receiver(tmp_path, receiver={"http": {"port": 0}}) as running:
        yield running


def get(receiver: LocalReceiver, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{receiver.background.http_port}{path}", timeout=10
        ) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def metrics(receiver: LocalReceiver) -> dict[str, float]:
    """By name and values of the labels, as they stand in the text."""
    _, text = get(receiver, "/metrics")
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_receiver_at_ease_lives_and_is_ready(receiver: LocalReceiver) -> None:
    assert get(receiver, "/livez") == (200, "ok\n")
    assert get(receiver, "/readyz?verbose") == (200, "ok\n")
    assert get(receiver, "/")[0] == 404


def test_at_the_association_limit_it_is_ready(tmp_path: Path) -> None:
    limits = {"http": {"port": 0}, "max_associations": 1}
    with local_receiver(tmp_path, receiver=limits) as receiver, receiver.associated():
        assert receiver.services.slots.at_limit
        assert get(receiver, "/readyz")[0] == 200


def test_a_draining_one_lives_but_is_not_ready(receiver: LocalReceiver) -> None:
    receiver.server.drain()
    assert get(receiver, "/readyz") == (503, "draining\n")
    assert get(receiver, "/livez")[0] == 200


def test_one_without_room_is_not_ready(
    receiver: LocalReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Usage(total=100, used=100, free=0)
    monkeypatch.setattr(receiver.services.capacity, "_usage", lambda: full)
    wait_for(lambda: get(receiver, "/readyz") == (503, "storage full\n"))


def test_one_whose_storage_takes_no_writes_is_not_ready(receiver: LocalReceiver) -> None:
    alive = receiver.services.incoming.folder / "alive"
    alive.rename(alive.with_name("elsewhere"))
    assert get(receiver, "/readyz") == (503, "storage cannot be written\n")
    alive.with_name("elsewhere").rename(alive)
    assert get(receiver, "/readyz")[0] == 200


def test_one_that_accepts_nothing_more_does_not_live(
    receiver: LocalReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(receiver.server, "_accepting", [threading.Thread()])  # it has not begun
        assert get(receiver, "/livez") == (503, "not listening\n")


def test_the_metrics_tell_what_came_and_how_it_ended(receiver: LocalReceiver) -> None:
    with receiver.associated() as scu:
        scu.store("1.2.3", data_set(1000))
        scu.store("1.2.3", data_set(1000))
        scu.store("no uid", data_set(1000))
        found = metrics(receiver)
        assert found["penstock_associations_open"] == 1
        assert found["penstock_associations_limit"] == 25
        assert found["penstock_c_store_responses_total 0000"] == 2
        assert found["penstock_c_store_responses_total 0117"] == 1
        assert found["penstock_instances_total"] == 1
        scu.release()
    assert receiver.scu().rejection(called="WHO") == (1, 1, 7)
    receiver.associated().abort()
    receiver.associated().reset()
    ends = (" released", "1,1,7 refused", "peer aborted", "connection aborted")
    wait_for(lambda: all(f"penstock_associations_total {end}" in metrics(receiver) for end in ends))
    found = metrics(receiver)
    (instance,) = receiver.delivery().instances
    assert found["penstock_instance_bytes_total"] == instance.size
    assert found["penstock_commit_seconds_count"] == 1
    assert found["penstock_commit_seconds_bucket +Inf"] == 1
    assert found["penstock_associations_open"] == 0
    assert found["penstock_storage_free_bytes"] > 0
    assert found["penstock_draining"] == 0


def test_connections_that_ask_for_nothing_are_half_open(receiver: LocalReceiver) -> None:
    with receiver.scu(), receiver.associated():
        wait_for(lambda: metrics(receiver)["penstock_connections_half_open"] == 1)


def test_a_client_that_never_ends_its_request_holds_up_nobody(receiver: LocalReceiver) -> None:
    address = ("127.0.0.1", receiver.background.http_port)
    with contextlib.ExitStack() as silent:
        for _ in range(20):
            silent.enter_context(socket.create_connection(address)).sendall(b"GET /met")
        assert get(receiver, "/livez")[0] == 200


def test_without_a_port_there_is_no_http(tmp_path: Path) -> None:
    with local_receiver(tmp_path) as receiver:
        assert receiver.background.http_port is None
