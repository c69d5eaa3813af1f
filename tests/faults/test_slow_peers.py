"""A byte at a time (R4): the whole PDU has a deadline, however diligently it trickles."""

import contextlib
import time
from typing import Any

import pytest

from shared.upper_layer.associate import AssociateRequest
from shared.upper_layer.user_information import UserInformation
from tests.faults.invariants import committed, content
from tests.support.receivers import ReceiverProcess
from tests.support.scu import STORAGE_CONTEXT, Scu
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return {"receiver": {"artim_timeout": "1s", "pdu_timeout": "1s", "idle_timeout": "60s"}}


PAUSE = 0.1
REQUEST = AssociateRequest("BRAIN", "CT01", (STORAGE_CONTEXT,), UserInformation(16384)).encode()


def trickle(scus: list[Scu], data: bytes) -> list[float]:
    """Sends a byte to each now and then; for how many seconds each was let to."""
    began, lasted = time.monotonic(), dict[Scu, float]()
    for scu in scus:
        scu.socket.settimeout(PAUSE / len(scus))
    for byte in data:
        for scu in scus:
            if scu not in lasted and is_over(scu, byte):
                lasted[scu] = time.monotonic() - began
        if len(lasted) == len(scus):
            break
    return list(lasted.values())


def is_over(scu: Scu, byte: int) -> bool:
    try:
        scu.socket.sendall(bytes((byte,)))
        while scu.socket.recv(100):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def all_ended_in_time(lasted: list[float], number: int) -> bool:
    return len(lasted) == number and all(0.9 <= seconds < 3 for seconds in lasted)


def test_requests_that_trickle_in_end_at_artim(receiver: ReceiverProcess) -> None:
    with contextlib.ExitStack() as stack:
        scus = [stack.enter_context(receiver.scu()) for _ in range(10)]
        assert all_ended_in_time(trickle(scus, REQUEST), 10)


def test_a_request_one_byte_short_is_not_waited_for(receiver: ReceiverProcess) -> None:
    with receiver.scu() as scu:
        began = time.monotonic()
        scu.socket.sendall(REQUEST[:-1])
        assert scu.rest() == b""
        assert 0.9 < time.monotonic() - began < 3


def in_the_middle(receiver: ReceiverProcess) -> Scu:
    scu = receiver.associated()
    assert scu.store("1.2.3", content("1.2.3")).status == 0
    scu.command(1, scu.store_request("1.2.4"))
    return scu


def test_instances_that_trickle_in_end_their_associations_alone(receiver: ReceiverProcess) -> None:
    with contextlib.ExitStack() as stack:
        scus = [stack.enter_context(in_the_middle(receiver)) for _ in range(10)]
        pdu = b"".join(scus[0].requestor.data_pdus(1, memoryview(content("1.2.4")), True))
        assert all_ended_in_time(trickle(scus, pdu), 10)
        wait_for(lambda: len(receiver.aborted()) == 10)
        assert committed(receiver) == []


def test_a_peer_that_stops_within_a_data_set_is_aborted(receiver: ReceiverProcess) -> None:
    with in_the_middle(receiver) as scu:
        pdu = b"".join(scu.requestor.data_pdus(1, memoryview(content("1.2.4")), True))
        scu.socket.sendall(pdu[: len(pdu) // 2])
        assert scu.aborted() == (2, 0)
    wait_for(receiver.aborted)
    assert receiver.aborted_delivery().reason == "a PDU was not ended in time"
    assert committed(receiver) == []
