"""What must hold after any fault, by what the disk, the wire and /proc say."""

import hashlib
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from shared.delivery import DELIVERY_FILE, Delivery, read_delivery
from tests.support.process import footprint
from tests.support.receivers import ReceiverProcess, Stored, receiver_process
from tests.support.samples import data_set, data_set_of
from tests.support.waiting import wait_for

CANARY = b"CANARY^PATIENT"
BYSTANDER = "BYSTANDER"


def content(uid: str, size: int = 3000) -> bytes:
    """The data set that belongs to a UID: what is stored under it can be told whole or torn."""
    seed = hashlib.sha256(uid.encode()).digest()
    body = CANARY + random.Random(seed).randbytes(size - 12 - len(CANARY))
    return data_set(size)[:12] + body


def check_whole(folder: Path) -> Delivery:
    """Everything that a committed folder's record names is there, and nothing else is."""
    delivery = read_delivery(folder)
    assert delivery.id == folder.name
    listed = {instance.file for instance in delivery.instances}
    assert {file.name for file in folder.iterdir()} == {
        *listed,
        DELIVERY_FILE,
        "association.json",
    }
    for instance in delivery.instances:
        assert (folder / instance.file).stat().st_size == instance.size
    return delivery


def check_intact(folder: Path) -> Delivery:
    """As `check_whole`, and every data set is the one that belongs to its UID."""
    delivery = check_whole(folder)
    for instance in delivery.instances:
        data = data_set_of(folder / instance.file)
        assert data == content(instance.sop_instance_uid, len(data)), instance.file
    return delivery


def uids(delivery: Delivery) -> list[str]:
    return [instance.sop_instance_uid for instance in delivery.instances]


@contextmanager
def watched_receiver(root: Path, **options: Any) -> Iterator[ReceiverProcess]:
    """A receiver for one fault, which it must survive unharmed."""
    with receiver_process(root, **options) as receiver, unharmed(receiver):
        yield receiver


class Bystander(threading.Thread):
    """An association that has no part in the fault: it must be answered all the while."""

    def __init__(self, receiver: ReceiverProcess) -> None:
        super().__init__(daemon=True)
        self._scu = receiver.associated(calling=BYSTANDER)
        self._over = threading.Event()
        self._failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self._over.wait(0.2):
                assert self._scu.echo() == 0
        except Exception as failure:  # noqa: BLE001 (raised by `finish`)
            self._failure = failure

    def finish(self) -> None:
        """Stores an instance, which is committed."""
        self.stop()
        if self._failure:
            raise self._failure
        assert self._scu.store("9.9.9", content("9.9.9")).status == 0
        self._scu.release()

    def stop(self) -> None:
        self._over.set()
        self.join()

    def close(self) -> None:
        self.stop()
        self._scu.close()


@contextmanager
def unharmed(receiver: ReceiverProcess) -> Iterator[None]:
    """A running receiver must come out of what is done to it here as it went in.

    The bystander is associated meanwhile, and counts in the limit. Afterwards the storage is
    emptied for whoever comes next.
    """
    pid = receiver.process.pid
    said_before = len(receiver.log())
    receiver.associated().release()
    with closing(Bystander(receiver)) as bystander:
        before = footprint(pid)
        bystander.start()
        yield
        assert receiver.process.poll() is None, receiver.log()
        wait_for(lambda: footprint(pid).fits_in(before))
        bystander.finish()
    deliveries = map(check_whole, receiver.committed())
    assert [uids(delivery) for delivery in deliveries if _is_bystander(delivery)] == [["9.9.9"]]
    assert receiver.incoming() == []
    _check_log(receiver.log()[said_before:])
    _check_no_patient_in_names_and_records(receiver)
    for folder in (*receiver.committed(), *receiver.aborted()):
        shutil.rmtree(folder)


def _check_log(said: str) -> None:
    """No thread has died of a fault of ours, and no patient is named."""
    assert "Traceback" not in said, said
    assert CANARY.decode() not in said


def _check_no_patient_in_names_and_records(stored: Stored) -> None:
    for path in stored.tree.root.rglob("*"):
        assert CANARY.decode() not in path.name
        if path.suffix == ".json":
            assert CANARY not in path.read_bytes()


def committed(receiver: Stored) -> list[Delivery]:
    """What was committed for others than the bystander, all of it intact."""
    deliveries = map(check_intact, receiver.committed())
    return [delivery for delivery in deliveries if not _is_bystander(delivery)]


def _is_bystander(delivery: Delivery) -> bool:
    return delivery.calling_ae_title == BYSTANDER
