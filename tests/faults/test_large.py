"""Much at once (R14): memory stays in bounds, and all of it is stored.

At full length for `make at-length`: 2 GB in one instance, 50,000 instances in one association. In
`make test` the same in short, long enough for growth to show.
"""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.invariants import check_intact, check_whole, content, uids, watched_receiver
from tests.support.descriptors import many_descriptors
from tests.support.frames import MB, check_frames, send_frames
from tests.support.process import forget_peak_memory, peak_memory, resident_memory
from tests.support.receivers import ReceiverProcess, receiver_process
from tests.support.scu import Scu

AT_LENGTH = (pytest.mark.at_length, pytest.mark.timeout(3600))


@pytest.mark.parametrize("size", [200 * MB, pytest.param(2048 * MB, marks=AT_LENGTH)])
def test_an_instance_of_any_size_leaves_memory_flat(tmp_path: Path, size: int) -> None:
    with watched_receiver(tmp_path) as receiver:
        pid = receiver.process.pid
        with receiver.associated() as scu:
            assert scu.store("1.2.3", content("1.2.3")).status == 0
            before = resident_memory(pid)
            forget_peak_memory(pid)
            send_frames(scu, "1.2.4", size)
            assert peak_memory(pid) - before < 4 * MB
            scu.release()
        (folder,) = (folder for folder in receiver.committed() if (folder / "1.2.4.dcm").exists())
        check_frames(folder / "1.2.4.dcm", size)


@pytest.mark.parametrize("number", [3000, pytest.param(50_000, marks=AT_LENGTH)])
def test_an_association_of_many_instances_is_bounded_in_memory_and_stored_whole(
    tmp_path: Path, number: int
) -> None:
    with receiver_process(tmp_path) as receiver:
        pid = receiver.process.pid
        receiver.associated().release()
        before = resident_memory(pid)
        forget_peak_memory(pid)
        with receiver.associated() as scu:
            scu.socket.settimeout(300)
            for n in range(number):
                assert scu.store(f"1.2.{n}", content(f"1.2.{n}", 200)).status == 0
            scu.release()
        # Of each instance its names are kept until the release, and its line in the record.
        assert peak_memory(pid) - before < 8 * MB + number * 3000
        (folder,) = receiver.committed()
        assert uids(check_intact(folder)) == [f"1.2.{n}" for n in range(number)]
        assert "Traceback" not in receiver.log()


def test_a_thousand_associations_at_once_are_all_stored(tmp_path: Path) -> None:
    number = 1000
    limits = {"max_associations": number}
    with (
        many_descriptors(),
        receiver_process(tmp_path, receiver=limits) as receiver,
        contextlib.ExitStack() as stack,
        ThreadPoolExecutor(16) as peers,
    ):
        pid = receiver.process.pid
        receiver.associated().release()
        before = resident_memory(pid)
        scus = list(peers.map(lambda n: associated(receiver, stack, n), range(number)))
        assert receiver.scu().rejection() == (2, 3, 2)
        list(peers.map(store_two, enumerate(scus)))
        # Each has sent data, and so has a buffer of 256 KB.
        assert resident_memory(pid) - before < 400 * MB
        list(peers.map(Scu.release, scus))
        deliveries = [check_whole(folder) for folder in receiver.committed()]
        assert sorted(uids(delivery) for delivery in deliveries) == sorted(
            [f"1.2.{n}.1", f"1.2.{n}.2"] for n in range(number)
        )
        assert "Traceback" not in receiver.log()


def associated(receiver: ReceiverProcess, stack: contextlib.ExitStack, number: int) -> Scu:
    scu = stack.enter_context(Scu(receiver.address, timeout=60))
    scu.associate(calling=f"CT{number}")
    return scu


def store_two(numbered: tuple[int, Scu]) -> None:
    number, scu = numbered
    for which in (1, 2):
        uid = f"1.2.{number}.{which}"
        assert scu.store(uid, content(uid, 20_000)).status == 0
