import contextlib
import socket
import threading
import time
from pathlib import Path

import pytest

from receiver.connection import Connection, ConnectionLostError
from receiver.patience import Patience
from receiver.watchdog import Watchdog
from shared.settings.receiving import Receiver
from shared.upper_layer.events import ReleaseConfirmed
from tests.support.receivers import local_receiver
from tests.support.samples import data_set
from tests.support.trickle import trickle
from tests.support.waiting import wait_for

SETTINGS = Receiver.model_validate(
    {"artim_timeout": "30s", "pdu_timeout": "60s", "idle_timeout": "600s"}
)
SHORT = {"artim_timeout": "500ms", "pdu_timeout": "500ms", "idle_timeout": "60s"}


def test_until_the_request_is_whole_artim_runs() -> None:
    patience = Patience(SETTINGS)
    assert patience.limit().seconds == 30
    patience.received(10, pdu_under_way=1)
    patience.received(5, pdu_under_way=1)
    assert patience.limit().seconds == 15


def test_between_pdus_there_is_the_idle_time_and_within_one_less() -> None:
    patience = Patience(SETTINGS)
    patience.associated()
    patience.received(1, pdu_under_way=None)
    assert patience.limit().seconds == 600
    patience.received(500, pdu_under_way=2)
    assert patience.limit().seconds == 60
    patience.received(20, pdu_under_way=2)
    assert patience.limit().seconds == 40
    patience.received(1, pdu_under_way=None)
    assert patience.limit().seconds == 600


def test_a_stream_of_pdus_that_never_pauses_between_two_is_no_trickle() -> None:
    patience = Patience(SETTINGS)
    patience.associated()
    for number in range(2, 100):
        patience.received(50, pdu_under_way=number)
        assert patience.limit().seconds == 60


def test_a_small_pdu_has_no_more_time_than_a_long_one() -> None:
    patience = Patience(SETTINGS)
    patience.associated()
    patience.received(1, pdu_under_way=2)
    for _ in range(4):
        patience.received(15, pdu_under_way=2)
    assert patience.limit().seconds == 0


def test_the_length_of_an_association_counts_whatever_it_does() -> None:
    limited = SETTINGS.model_copy(update={"max_association_time": 3600})
    patience = Patience(limited)
    assert patience.limit(age=5000).seconds == 30, "there is no association yet"
    patience.associated()
    patience.received(1, pdu_under_way=2)
    assert patience.limit(age=3500).seconds == 60
    assert patience.limit(age=3590) == (10, "the association took too long")
    assert patience.limit(age=3700).seconds < 0


def test_a_connection_without_a_request_ends_without_a_word(tmp_path: Path) -> None:
    with local_receiver(tmp_path, receiver=SHORT) as receiver, receiver.scu() as scu:
        assert scu.rest() == b""


def test_a_request_that_trickles_in_is_not_waited_for(tmp_path: Path) -> None:
    with local_receiver(tmp_path, receiver=SHORT) as receiver, receiver.scu() as scu:
        assert trickle(scu.socket, b"\x01\x00\x00\x00\x01\x00" + bytes(300)) < 3
        wait_for(lambda: not receiver.server.connections())


def test_an_instance_that_trickles_in_ends_the_association(tmp_path: Path) -> None:
    with local_receiver(tmp_path, receiver=SHORT) as receiver:
        scu = receiver.associated()
        scu.store("1.2.3", data_set(100))
        scu.command(1, scu.store_request("1.2.4"))
        pdu = b"".join(scu.requestor.data_pdus(1, memoryview(data_set(1000)), True))
        assert trickle(scu.socket, pdu) < 3
        wait_for(receiver.aborted)
        assert receiver.aborted_delivery().reason == "a PDU was not ended in time"
        assert receiver.committed() == []


def test_a_peer_that_falls_silent_is_aborted_after_the_idle_time(tmp_path: Path) -> None:
    limits = SHORT | {"idle_timeout": "500ms"}
    with local_receiver(tmp_path, receiver=limits) as receiver:
        with receiver.associated() as scu:
            scu.store("1.2.3", data_set(100))
            assert scu.aborted() == (2, 0)
        wait_for(receiver.aborted)
        assert receiver.aborted_delivery().reason == "no traffic"
        assert not receiver.services.slots.taken


def test_an_association_over_its_length_is_aborted_and_rolled_back(tmp_path: Path) -> None:
    limits = {"max_association_time": "500ms"}
    with local_receiver(tmp_path, receiver=limits) as receiver, receiver.associated() as scu:
        assert scu.store("1.2.3", data_set(100)).status == 0
        with contextlib.suppress(OSError):
            while True:  # it never lets us wait
                scu.command(1, scu.store_request("1.2.4"))
                scu.data(1, data_set(1000))
        wait_for(receiver.aborted)
        assert receiver.aborted_delivery().reason == "the association took too long"
        assert receiver.committed() == []


def test_a_slow_peer_that_keeps_sending_whole_pdus_is_let_be(tmp_path: Path) -> None:
    limits = {"artim_timeout": "1s", "pdu_timeout": "1s", "idle_timeout": "1s"}
    with local_receiver(tmp_path, receiver=limits) as receiver, receiver.associated() as scu:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert scu.echo() == 0
            time.sleep(0.1)
        scu.release()


def test_a_peer_that_does_not_close_after_the_release_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.connection._LAST_WAIT", 0.3)
    with local_receiver(tmp_path) as receiver, receiver.associated() as scu:
        scu.ask_release()
        scu.expect(ReleaseConfirmed)
        wait_for(lambda: not receiver.server.connections(), timeout=3)


def test_a_peer_that_reads_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        accepted, (address, _) = listener.accept()
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    connection = Connection(accepted, address, send_timeout=0.2)
    watchdog = Watchdog(lambda: [connection])
    with peer, pytest.raises(ConnectionLostError, match="does not read"):
        connection.send(bytes(100_000_000))
    watchdog.stop()
    connection.close()


def test_who_still_sends_to_a_peer_that_reads_nothing_is_woken_by_being_ended_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        accepted, (address, _) = listener.accept()
    connection = Connection(accepted, address, send_timeout=60)
    outcome: list[Exception] = []

    def send() -> None:
        try:
            connection.send(bytes(100_000_000))
        except ConnectionLostError as error:
            outcome.append(error)

    sender = threading.Thread(target=send)
    sender.start()

    def is_woken() -> bool:
        connection.end("the test is over")
        return not sender.is_alive()

    with peer:
        wait_for(is_woken, timeout=10)
        assert outcome
    connection.close()
