from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.capacity import Capacity, Room, room
from shared.settings.sections import Storage
from shared.tree import StorageTree, Usage
from tests.support.receivers import LocalReceiver
from tests.support.samples import data_set
from tests.support.scu import ECHO_CONTEXT
from tests.support.waiting import wait_for

GB = 10**9


@pytest.mark.parametrize(
    ("used", "free", "over_watermark", "under_reserve"),
    [
        (74, 26, False, False),
        (75, 25, True, False),
        (10, 5, False, False),
        (10, 4.999, False, True),
        (99, 1, True, True),
    ],
)
def test_watermark_and_reserve(
    used: float, free: float, over_watermark: bool, under_reserve: bool
) -> None:
    usage = Usage(total=200 * GB, used=int(used * GB), free=int(free * GB))
    assert room(usage, Storage()) == Room(over_watermark, under_reserve)


def test_storage_that_cannot_be_read_counts_as_full() -> None:
    def away() -> Usage:
        raise OSError(5, "Input/output error")

    assert Capacity(away, Storage()).room() == Room(over_watermark=True, under_reserve=True)


def test_the_file_system_is_not_asked_each_time() -> None:
    asked: Iterator[int] = iter(range(100))

    def usage() -> Usage:
        next(asked)
        return Usage(total=10 * GB, used=0, free=10 * GB)

    capacity = Capacity(usage, Storage())
    assert all(not capacity.room().full for _ in range(1000))
    assert next(asked) < 5


def test_a_full_storage_refuses_storage_lets_echo_pass_and_recovers_by_itself(
    receiver: LocalReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Usage(total=100 * GB, used=100 * GB, free=0)
    with monkeypatch.context() as patched:
        patched.setattr(receiver.services.capacity, "_usage", lambda: full)
        wait_for(lambda: receiver.services.capacity.room().full)
        assert receiver.scu().rejection() == (2, 3, 1)
        with receiver.associated(contexts=[ECHO_CONTEXT]) as scu:
            assert scu.echo() == 0
            scu.release()
    wait_for(lambda: not receiver.services.capacity.room().full)
    receiver.associated().release()


def test_under_the_reserve_an_instance_is_answered_a700_and_the_association_goes_on(
    receiver: LocalReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver.associated() as scu:
        assert scu.store("1.2.3", data_set(100)).status == 0
        with monkeypatch.context() as patched:
            nearly_full = Room(over_watermark=True, under_reserve=True)
            patched.setattr(receiver.services.capacity, "room", lambda: nearly_full)
            response = scu.store("1.2.4", data_set(100_000))
            assert response.status == 0xA700
            assert response.error_comment
        assert scu.store("1.2.5", data_set(100)).status == 0
        scu.release()
    delivery = receiver.delivery()
    assert [instance.sop_instance_uid for instance in delivery.instances] == ["1.2.3", "1.2.5"]
    assert delivery.refused == 1


def test_usage_of_a_real_tree_can_be_read(tmp_path: Path) -> None:
    assert not Capacity(StorageTree(tmp_path).usage, Storage(reserve_gb=0)).room().under_reserve
