"""Lengths that nobody may announce (R5): refused by the header, and memory does not move."""

import contextlib
import struct

import pytest

from tests.faults.invariants import committed, content
from tests.support.process import forget_peak_memory, peak_memory, resident_memory
from tests.support.receivers import ReceiverProcess
from tests.support.scu import Scu
from tests.support.waiting import wait_for

MB = 1 << 20
ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x06"
MAX_PDU_LENGTH = 131072


def header(pdu_type: int, length: int) -> bytes:
    return struct.pack(">BxL", pdu_type, length)


def pour(scu: Scu, megabytes: int) -> None:
    """Sends on and on, as a peer that does not listen."""
    piece = bytes(MB)
    with contextlib.suppress(OSError):
        for _ in range(megabytes):
            scu.socket.sendall(piece)


@pytest.mark.parametrize("length", [0xFFFFFFFF, 300 * MB, MB + 1])
def test_a_request_too_long_is_aborted_by_its_header(
    receiver: ReceiverProcess, length: int
) -> None:
    with receiver.scu() as scu:
        scu.socket.sendall(header(1, length))
        assert scu.rest() == ABORT


@pytest.mark.parametrize("length", [0xFFFFFFFF, 300 * MB, MAX_PDU_LENGTH + 1])
def test_data_over_the_announced_maximum_is_aborted_by_its_header(
    receiver: ReceiverProcess, length: int
) -> None:
    with receiver.associated() as scu:
        assert scu.store("1.2.3", content("1.2.3")).status == 0
        scu.socket.sendall(header(4, length))
        assert scu.aborted() == (2, 6)
    wait_for(receiver.aborted)
    assert committed(receiver) == []


def test_requests_of_300_mb_poured_in_by_many_leave_memory_flat(
    receiver: ReceiverProcess,
) -> None:
    pid = receiver.process.pid
    before = resident_memory(pid)
    forget_peak_memory(pid)
    for _ in range(3):
        with receiver.scu() as scu:
            scu.socket.sendall(header(1, 300 * MB))
            pour(scu, 300)
    assert peak_memory(pid) - before < 10 * MB


def test_the_longest_requests_that_are_read_are_given_back(receiver: ReceiverProcess) -> None:
    pid = receiver.process.pid
    before = resident_memory(pid)
    with contextlib.ExitStack() as stack:
        for _ in range(20):  # all but their last byte
            scu = stack.enter_context(receiver.scu())
            scu.socket.sendall(header(1, MB) + bytes(MB - 1))
        assert resident_memory(pid) - before < 60 * MB
    wait_for(lambda: resident_memory(pid) - before < 20 * MB)


def test_a_command_set_without_end_is_aborted(receiver: ReceiverProcess) -> None:
    with receiver.associated() as scu:
        pdv = struct.pack(">LBB", 16002, 1, 1) + bytes(16000)
        pour_until_closed = header(4, len(pdv)) + pdv
        with contextlib.suppress(OSError):
            for _ in range(100):
                scu.socket.sendall(pour_until_closed)
        assert scu.rest() in (ABORT, b""), "a reset may have overtaken it"
