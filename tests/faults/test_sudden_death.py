"""kill -9 at any moment (R10): what was confirmed is whole, what is visible is whole."""

import contextlib
import random
import threading
import time
from pathlib import Path

import pytest

from shared.delivery import ASSOCIATION_FILE
from shared.upper_layer.events import ReleaseConfirmed
from tests.faults.invariants import check_intact, content, uids
from tests.support.receivers import ReceiverProcess, receiver_process
from tests.support.scu import Scu

INSTANCES = 60


class Sender(threading.Thread):
    """Sends one delivery after another, until its receiver is gone."""

    def __init__(self, receiver: ReceiverProcess, name: str) -> None:
        super().__init__()
        self.receiver = receiver
        self.confirmed: list[str] = []  # by calling AE title, which is each delivery's own
        self.begun: list[str] = []
        self.releasing = threading.Event()  # a release is asked for, and not answered yet
        self._title = name

    def run(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._deliver(f"{self._title}-{len(self.begun)}")

    def _deliver(self, title: str) -> None:
        with self.receiver.associated(calling=title) as scu:
            self.begun.append(title)
            for number in range(INSTANCES):
                uid = f"1.2.{number}"
                assert scu.store(uid, content(uid)).status == 0
            self.releasing.set()
            scu.ask_release()
            scu.expect(ReleaseConfirmed)
            self.confirmed.append(title)
            self.releasing.clear()


def check(receiver: ReceiverProcess, senders: list[Sender]) -> None:
    deliveries = [check_intact(folder) for folder in receiver.committed()]
    for delivery in deliveries:
        assert delivery.end == "released"
        assert sorted(uids(delivery)) == sorted(f"1.2.{number}" for number in range(INSTANCES))
    committed = [delivery.calling_ae_title for delivery in deliveries]
    assert len(set(committed)) == len(committed)
    assert {title for sender in senders for title in sender.confirmed} <= set(committed)
    assert set(committed) <= {title for sender in senders for title in sender.begun}
    for folder in receiver.tree.incoming.glob("*/[0-9]*"):  # each can be told whose it was
        assert (folder / ASSOCIATION_FILE).read_bytes()


def kill_once(root: Path, moment: str, chance: random.Random) -> None:
    root.mkdir()
    with receiver_process(root) as receiver:
        senders = [Sender(receiver, f"CT{number}") for number in range(3)]
        for sender in senders:
            sender.start()
        if moment == "at a release":
            assert senders[0].releasing.wait(15)
            time.sleep(chance.uniform(0, 0.02))
        else:
            time.sleep(chance.uniform(0, 0.5))
        receiver.kill()
        for sender in senders:
            sender.join()
        check(receiver, senders)


def check_goes_on(root: Path) -> None:
    """With what the dead one left, and away from it."""
    with receiver_process(root) as receiver:
        before = receiver.incoming()
        with receiver.associated(calling="AFTER") as scu:
            assert scu.store("1.2.3", content("1.2.3")).status == 0
            scu.release()
        assert receiver.incoming() == before
        titles = [check_intact(folder).calling_ae_title for folder in receiver.committed()]
        assert titles.count("AFTER") == 1


@pytest.mark.parametrize("moment", ["at any time", "at a release"])
@pytest.mark.parametrize("seed", range(4))
def test_a_killed_receiver_has_committed_what_it_confirmed_and_nothing_torn(
    tmp_path: Path, moment: str, seed: int
) -> None:
    kill_once(tmp_path / "storage", moment, random.Random(seed))
    check_goes_on(tmp_path / "storage")


@pytest.mark.at_length
@pytest.mark.timeout(3600)
def test_a_receiver_killed_200_times_has_committed_what_it_confirmed(tmp_path: Path) -> None:
    for seed in range(200):
        moment = "at a release" if seed % 2 else "at any time"
        kill_once(tmp_path / str(seed), moment, random.Random(1000 + seed))


def test_killed_after_the_last_instance_nothing_is_committed(tmp_path: Path) -> None:
    with receiver_process(tmp_path) as receiver:
        scu = receiver.associated()
        for number in range(INSTANCES):
            assert scu.store(f"1.2.{number}", content(f"1.2.{number}")).status == 0
        receiver.kill()
        scu.close()
        assert receiver.committed() == []
        (folder,) = receiver.incoming()
        assert len(list(folder.glob("*.dcm"))) == INSTANCES


def test_killed_with_the_release_response_on_its_way_all_is_committed(tmp_path: Path) -> None:
    with receiver_process(tmp_path) as receiver:
        scus: list[Scu] = []
        for number in range(5):
            scu = receiver.associated(calling=f"CT{number}")
            assert scu.store("1.2.3", content("1.2.3")).status == 0
            scus.append(scu)
        for scu in scus:
            scu.ask_release()
            scu.expect(ReleaseConfirmed)
        receiver.kill()
        assert len([check_intact(folder) for folder in receiver.committed()]) == 5
