from collections.abc import Callable
from pathlib import Path

import pytest

from receiver.slots import Slots
from tests.support.receivers import local_receiver
from tests.support.scu import Scu
from tests.support.waiting import wait_for


def test_there_are_as_many_slots_as_the_limit() -> None:
    slots = Slots(2)
    assert slots.take()
    assert slots.take()
    assert slots.at_limit
    assert not slots.take()
    slots.free()
    assert slots.take()


def test_associations_over_the_limit_are_refused_and_the_others_go_on(tmp_path: Path) -> None:
    with (
        local_receiver(tmp_path, receiver={"max_associations": 2}) as receiver,
        receiver.associated() as first,
        receiver.associated() as second,
    ):
        for _ in range(3):
            assert receiver.scu().rejection() == (2, 3, 2)
        assert first.echo() == second.echo() == 0


def test_a_slot_is_free_as_soon_as_the_release_response_is_there(tmp_path: Path) -> None:
    with local_receiver(tmp_path, receiver={"max_associations": 1}) as receiver:
        for _ in range(20):
            receiver.associated().release()


@pytest.mark.parametrize("end", [Scu.abort, Scu.reset, Scu.close])
def test_a_slot_is_free_after_an_abort_a_reset_or_a_close(
    tmp_path: Path, end: Callable[[Scu], None]
) -> None:
    with local_receiver(tmp_path, receiver={"max_associations": 1}) as receiver:
        end(receiver.associated())
        wait_for(lambda: not receiver.services.slots.taken, timeout=5)
        receiver.associated().release()


def test_connections_that_ask_for_nothing_hold_no_slot(tmp_path: Path) -> None:
    with local_receiver(tmp_path, receiver={"max_associations": 1}) as receiver:
        idle = [receiver.scu() for _ in range(10)]
        receiver.associated().release()
        receiver.scu().close()  # as a health check does
        receiver.associated().release()
        for scu in idle:
            scu.close()
        wait_for(lambda: not receiver.server.connections())
