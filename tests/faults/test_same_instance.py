"""The same instance again (R12): success each time, one copy of the same bytes, all of others."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.invariants import committed, content, uids, unharmed
from tests.support.receivers import ReceiverProcess, receiver_process
from tests.support.samples import data_set_of

UID = "1.2.3"
SIZE = 400_000
OTHER = content("other", SIZE)


def deliver(receiver: ReceiverProcess, *data_sets: bytes) -> None:
    with receiver.associated() as scu:
        for data in data_sets:
            assert scu.store(UID, data).status == 0
        scu.release()


def test_within_an_association_the_same_bytes_are_kept_once(receiver: ReceiverProcess) -> None:
    deliver(receiver, *[content(UID, SIZE)] * 3)
    (delivery,) = committed(receiver)
    assert (uids(delivery), delivery.duplicates) == ([UID], 2)


def test_in_two_associations_at_once_each_keeps_its_own(receiver: ReceiverProcess) -> None:
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(deliver, receiver, content(UID, SIZE)) for _ in range(8)]:
            future.result()
    assert [uids(delivery) for delivery in committed(receiver)] == [[UID]] * 8


def test_sent_again_later_it_is_another_delivery(receiver: ReceiverProcess) -> None:
    deliver(receiver, content(UID, SIZE))
    deliver(receiver, content(UID, SIZE))
    assert [uids(delivery) for delivery in committed(receiver)] == [[UID], [UID]]


@pytest.mark.parametrize("durability", ["association", "instance"])
def test_other_bytes_under_the_same_uid_are_kept_beside_and_flagged(
    tmp_path: Path, durability: str
) -> None:
    with receiver_process(tmp_path, storage={"durability": durability}) as receiver:
        deliver(receiver, content(UID, SIZE), OTHER, content(UID, SIZE), OTHER)
        delivery = receiver.delivery()
        assert delivery.duplicates == 2
        assert [(instance.file, instance.conflicts) for instance in delivery.instances] == [
            ("1.2.3.dcm", False),
            ("1.2.3.2.dcm", True),
        ]
        (folder,) = receiver.committed()
        assert data_set_of(folder / "1.2.3.dcm") == content(UID, SIZE)
        assert data_set_of(folder / "1.2.3.2.dcm") == OTHER


def test_the_same_instance_after_its_first_was_cut_off_is_kept(running: ReceiverProcess) -> None:
    with unharmed(running):
        scu = running.associated()
        scu.command(1, scu.store_request(UID))
        scu.data(1, content(UID, SIZE)[: SIZE // 2], last=False)
        scu.reset()
        deliver(running, content(UID, SIZE))
        (delivery,) = committed(running)
        assert uids(delivery) == [UID]
