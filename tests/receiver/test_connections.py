"""Connections without an association, and how many may come from where."""

import contextlib
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.support.receivers import ReceiverProcess, local_receiver, receiver_process
from tests.support.scu import Scu
from tests.support.waiting import wait_for


def is_turned_away(scu: Scu) -> bool:
    """Whether the connection is closed without a word."""
    with scu:
        return scu.rest() == b""


def test_idle_connections_as_many_as_associations_may_be_keep_nobody_out(tmp_path: Path) -> None:
    with (
        local_receiver(tmp_path, receiver={"max_associations": 5}) as receiver,
        contextlib.ExitStack() as idle,
    ):
        for _ in range(5):
            idle.enter_context(receiver.scu())
        wait_for(lambda: len(receiver.server.connections()) == 5)
        with contextlib.ExitStack() as working:
            for _ in range(5):
                assert working.enter_context(receiver.associated()).echo() == 0


def test_half_open_connections_are_bounded_and_associations_are_none_of_them(
    tmp_path: Path,
) -> None:
    with (
        local_receiver(tmp_path, receiver={"max_half_open": 3}) as receiver,
        contextlib.ExitStack() as opened,
    ):
        working = [opened.enter_context(receiver.associated()) for _ in range(5)]
        idle = [opened.enter_context(receiver.scu()) for _ in range(3)]
        wait_for(lambda: len(receiver.server.connections()) == 8)
        assert is_turned_away(receiver.scu())
        assert all(scu.echo() == 0 for scu in working)
        idle[0].close()
        wait_for(lambda: len(receiver.server.connections()) == 7)
        receiver.associated().release()


def test_connections_from_one_address_are_bounded_and_others_come_in(tmp_path: Path) -> None:
    bound = {"max_connections_per_address": 2}
    with (
        local_receiver(tmp_path, receiver=bound) as receiver,
        receiver.associated() as first,
        receiver.associated(),
    ):
        assert is_turned_away(receiver.scu())
        with Scu(receiver.address, source="127.0.0.2") as other:
            other.associate()
            assert other.echo() == 0
            other.release()
        first.abort()
        wait_for(lambda: len(receiver.server.connections()) == 1)
        receiver.associated().release()


def test_who_has_released_may_come_again_at_once(tmp_path: Path) -> None:
    with local_receiver(tmp_path, receiver={"max_connections_per_address": 1}) as receiver:
        for _ in range(50):
            receiver.associated().release()


def probe(address: tuple[str, int], *, reset: bool) -> None:
    with socket.create_connection(address) as sock:
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def held(receiver: ReceiverProcess) -> tuple[int, int]:
    """Descriptors and threads of the process."""
    proc = Path(f"/proc/{receiver.process.pid}")
    return len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir()))


@pytest.mark.parametrize("reset", [False, True])
def test_probes_of_the_port_leave_no_trace(tmp_path: Path, reset: bool) -> None:
    with receiver_process(tmp_path, receiver={"max_associations": 1}) as receiver:
        receiver.associated().release()
        wait_for(lambda: "association ended" in receiver.log())
        before, log = held(receiver), receiver.log()
        for _ in range(50):
            probe(receiver.address, reset=reset)
        receiver.associated().release()
        wait_for(lambda: held(receiver) == before)
        new = [line for line in receiver.log().removeprefix(log).splitlines() if line]
        assert not [line for line in new if "warning" in line or "error" in line]


def test_a_flood_that_is_turned_away_is_no_flood_in_the_log(tmp_path: Path) -> None:
    with (
        receiver_process(tmp_path, receiver={"max_half_open": 1}) as receiver,
        receiver.scu(),
    ):
        began = time.monotonic()
        for _ in range(50):
            assert is_turned_away(receiver.scu())
        told = receiver.log().count("connections are refused")
        assert 1 <= told <= 1 + (time.monotonic() - began)
