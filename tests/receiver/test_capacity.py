from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from receiver.capacity import Capacity, Room, room
from shared.settings.sections import Storage
from shared.tree import StorageTree, Usage
from shared.upper_layer.c_services import StoreResponse
from shared.upper_layer.events import MessageReceived
from tests.support.receivers import LocalReceiver, local_receiver
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


def percent(used: float) -> Usage:
    return Usage(total=1000 * GB, used=int(used * 10 * GB), free=int((100 - used) * 10 * GB))


def test_what_was_refused_is_taken_again_at_the_release_mark_and_no_earlier() -> None:
    storage = Storage(watermark_percent=75, watermark_release_percent=60)
    now, seen = room(percent(0), storage), []
    for used in (74.9, 75, 70, 60, 59.9, 74.9, 75):
        now = room(percent(used), storage, now)
        seen.append(now.over_watermark)
    assert seen == [False, True, True, True, False, False, True]


def test_the_reserve_has_a_release_mark_too() -> None:
    storage = Storage(reserve_gb=100, reserve_release_gb=150)
    now, seen = room(percent(0), storage), []
    for free in (10, 9.9, 14.9, 15, 10, 9.9):
        now = room(percent(100 - free), storage, now)
        seen.append(now.under_reserve)
    assert seen == [False, True, True, False, False, True]


@pytest.mark.parametrize(
    ("watermark", "released_under"), [(75, 70), (100, 95), (6, 3), (10, 5), (0.5, 0.25)]
)
def test_unset_the_watermarks_release_is_five_points_lower(
    watermark: float, released_under: float
) -> None:
    assert Storage(watermark_percent=watermark).watermark_release == released_under


def test_unset_the_reserves_release_is_a_tenth_higher() -> None:
    assert Storage(reserve_gb=5).reserve_release == pytest.approx(5.5)
    assert Storage(reserve_gb=0).reserve_release == 0


@pytest.mark.parametrize(
    "values",
    [
        {"watermark_percent": 75, "watermark_release_percent": 76},
        {"reserve_gb": 5, "reserve_release_gb": 4},
    ],
)
def test_a_release_mark_on_the_wrong_side_is_a_fault(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="must not be"):
        Storage(**values)


def test_a_moment_in_which_the_storage_cannot_be_read_does_not_move_the_mark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("receiver.capacity._VALID_FOR", 0)
    answers: list[Usage | OSError] = [percent(72), OSError(5, "Input/output error"), percent(72)]

    def usage() -> Usage:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    capacity = Capacity(usage, Storage())
    assert [capacity.room().full for _ in range(3)] == [False, True, False]


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


def test_over_the_watermark_it_stays_closed_down_to_the_release_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = {"watermark_percent": 75, "watermark_release_percent": 70}
    now = percent(50)
    with local_receiver(tmp_path, storage=marks) as receiver:
        monkeypatch.setattr("receiver.capacity._VALID_FOR", 0)
        monkeypatch.setattr(receiver.services.capacity, "_usage", lambda: now)
        receiver.associated().release()
        now = percent(75)
        assert receiver.scu().rejection() == (2, 3, 1)
        now = percent(72)
        assert receiver.scu().rejection() == (2, 3, 1)
        with receiver.associated(contexts=[ECHO_CONTEXT]) as scu:
            assert scu.echo() == 0
            scu.release()
        now = percent(69)
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


def test_a_long_instance_ends_with_a700_when_free_space_falls_under_the_reserve(
    receiver: LocalReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver.associated() as scu:
        assert scu.store("1.2.3", data_set(100)).status == 0
        scu.command(1, scu.store_request("1.2.4"))
        content = data_set(2_000_000)
        scu.data(1, content[:1_000_000], last=False)
        wait_for(lambda: list(receiver.incoming()[0].glob("*.part")))
        with monkeypatch.context() as patched:
            nearly_full = Room(over_watermark=True, under_reserve=True)
            patched.setattr(receiver.services.capacity, "room", lambda: nearly_full)
            scu.data(1, content[1_000_000:1_500_000], last=False)
            wait_for(lambda: not list(receiver.incoming()[0].glob("*.part")))
        scu.data(1, content[1_500_000:])
        response = scu.expect(MessageReceived).message
        assert isinstance(response, StoreResponse)
        assert response.status == 0xA700
        assert response.error_comment == "Out of resources: storage is full"
        assert scu.store("1.2.5", data_set(100)).status == 0
        scu.release()
    delivery = receiver.delivery()
    assert [instance.sop_instance_uid for instance in delivery.instances] == ["1.2.3", "1.2.5"]
    assert delivery.refused == 1


def test_usage_of_a_real_tree_can_be_read(tmp_path: Path) -> None:
    assert not Capacity(StorageTree(tmp_path).usage, Storage(reserve_gb=0)).room().under_reserve
