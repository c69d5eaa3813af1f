"""More peers than there are places, and peers that ask for nothing (R2, R3)."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import footprint
from tests.support.receivers import ReceiverProcess
from tests.support.scu import Scu
from tests.support.waiting import wait_for

LIMIT = 10

_PEER = """
import sys
from tests.support.scu import Scu
scu = Scu(("127.0.0.1", int(sys.argv[1])))
scu.associate()
print("associated", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    # One more, for the bystander; it is silent too, but after its request.
    return {"receiver": {"max_associations": LIMIT + 1, "artim_timeout": "1s"}}


def fill(receiver: ReceiverProcess, stack: contextlib.ExitStack, number: int = LIMIT) -> list[Scu]:
    return [stack.enter_context(receiver.associated()) for _ in range(number)]


def test_at_the_limit_the_next_are_refused_and_the_others_are_served(
    receiver: ReceiverProcess,
) -> None:
    with contextlib.ExitStack() as stack:
        scus = fill(receiver, stack)
        for _ in range(5):
            assert receiver.scu().rejection() == (2, 3, 2)
        for scu in scus:
            assert scu.echo() == 0
        for scu in scus:
            scu.release()


def test_a_place_is_free_the_moment_its_peer_is_released(receiver: ReceiverProcess) -> None:
    with contextlib.ExitStack() as stack:
        scus = fill(receiver, stack)
        for scu in scus:
            scu.release()
            receiver.associated().release()
            stack.enter_context(receiver.associated())


@pytest.mark.parametrize("end", [Scu.abort, Scu.reset, Scu.close])
def test_a_place_is_free_at_once_after_an_abort_a_reset_or_a_close(
    receiver: ReceiverProcess, end: Callable[[Scu], None]
) -> None:
    with contextlib.ExitStack() as stack:
        for scu in fill(receiver, stack):
            assert receiver.scu().rejection() == (2, 3, 2)
            end(scu)
            stack.enter_context(wait_for(lambda: admitted(receiver), timeout=1))


def test_a_place_is_free_at_once_after_its_peer_is_killed(receiver: ReceiverProcess) -> None:
    with contextlib.ExitStack() as stack:
        fill(receiver, stack, LIMIT - 1)
        with subprocess.Popen(
            [sys.executable, "-c", _PEER, str(receiver.address[1])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        ) as peer:
            assert peer.stdout is not None
            assert peer.stdout.readline() == b"associated\n"
            assert receiver.scu().rejection() == (2, 3, 2)
            peer.kill()
        stack.enter_context(wait_for(lambda: admitted(receiver), timeout=1))


def admitted(receiver: ReceiverProcess) -> Scu | None:
    scu = receiver.scu()
    if getattr(scu.request(), "accept", None) is not None:
        return scu
    scu.close()
    return None


def test_connections_that_say_nothing_take_no_place_and_end_at_artim(
    receiver: ReceiverProcess,
) -> None:
    with contextlib.ExitStack() as stack:
        began = time.monotonic()
        idle = [stack.enter_context(receiver.scu()) for _ in range(LIMIT)]
        scus = fill(receiver, stack)
        for scu in scus:
            assert scu.echo() == 0
        for scu in idle:
            assert scu.rest() == b""
        assert 0.9 < time.monotonic() - began < 5
        for scu in scus:
            scu.release()


def test_probes_that_connect_and_close_leave_nothing_behind(receiver: ReceiverProcess) -> None:
    pid = receiver.process.pid
    said_before = len(receiver.log())
    with contextlib.ExitStack() as stack:
        scus = fill(receiver, stack)
        before = footprint(pid)
        for _ in range(100):
            receiver.scu().close()
            receiver.scu().reset()
        wait_for(lambda: footprint(pid).fits_in(before))
        for scu in scus:
            assert scu.echo() == 0
            scu.release()
    assert "warning" not in receiver.log()[said_before:], "a health check is no news"
