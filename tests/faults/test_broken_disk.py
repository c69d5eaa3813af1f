"""A disk that is full, broken or read-only (R8, R9): A700, and what was stored before stays."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.invariants import check_intact, committed, content, uids, watched_receiver
from tests.support.file_systems import Ext4, ext4, needs_ext4, needs_tmpfs, tmpfs
from tests.support.receivers import ReceiverProcess, receiver_process
from tests.support.scu import ECHO_CONTEXT, Scu
from tests.support.waiting import wait_for

MB = 1 << 20


@contextmanager
def receiver_on(
    folder: Path, watched: Callable[..., object] = watched_receiver, **sections: object
) -> Iterator[ReceiverProcess]:
    log = folder.with_name("receiver.log")
    with watched(folder / "storage_root", log=log, **sections) as receiver:
        yield receiver


@needs_tmpfs
def test_a_full_disk_costs_the_instance_that_does_not_fit_and_no_other(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "size=8m") as disk, receiver_on(disk) as receiver:
        with receiver.associated() as scu:
            assert scu.store("1.2.3", content("1.2.3", MB)).status == 0
            used = receiver.tree.usage().used
            for _ in range(3):
                response = scu.store("1.2.4", content("1.2.4", 20 * MB))
                assert response.status == 0xA700
                assert response.error_comment == "Out of resources: No space left on device"
                assert receiver.tree.usage().used == used, "the partial file is gone"
            assert scu.store("1.2.5", content("1.2.5", MB)).status == 0
            scu.release()
        (delivery,) = committed(receiver)
        assert (uids(delivery), delivery.refused) == (["1.2.3", "1.2.5"], 3)


@needs_tmpfs
def test_a_disk_that_others_fill_up_is_used_again_when_they_make_room(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "size=8m") as disk, receiver_on(disk) as receiver:
        filler = disk / "filler"
        with receiver.associated() as scu, receiver.associated() as other:
            assert other.store("1.2.9", content("1.2.9")).status == 0
            fill_up(filler)
            for number in range(5):  # nothing of these is ever on disk
                assert scu.store(f"1.2.{number}", content(f"1.2.{number}", MB)).status == 0xA700
            filler.unlink()
            assert scu.store("1.2.7", content("1.2.7", MB)).status == 0
            scu.release()
            other.release()
        assert sorted(map(uids, committed(receiver))) == [["1.2.7"], ["1.2.9"]]


@needs_tmpfs
def test_a_refused_first_instance_leaves_no_folder_behind(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "size=8m") as disk, receiver_on(disk) as receiver:
        filler = disk / "filler"
        with receiver.associated() as scu:
            fill_up(filler)
            assert scu.store("1.2.3", content("1.2.3")).status == 0xA700
            filler.unlink()
            scu.release()
        (own,) = receiver.tree.incoming.iterdir()
        assert [entry.name for entry in own.iterdir()] == ["alive"]
        assert committed(receiver) == []


def fill_up(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)) == 4096:
                pass
        except OSError:
            return


@needs_tmpfs
def test_out_of_inodes_new_instances_are_refused_and_stored_ones_stay(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "size=8m,nr_inodes=60") as disk, receiver_on(disk) as receiver:
        with receiver.associated() as scu:
            assert scu.store("1.2.3", content("1.2.3")).status == 0
            taken = take_all_inodes(disk)
            response = scu.store("1.2.4", content("1.2.4"))
            assert response.status == 0xA700
            assert response.error_comment == "Out of resources: No space left on device"
            with receiver.associated() as other:
                assert other.store("1.2.8", content("1.2.8")).status == 0xA700
                assert other.echo() == 0
                other.release()
            for path in taken:
                path.unlink()
            assert scu.store("1.2.5", content("1.2.5")).status == 0
            scu.release()
        (delivery,) = committed(receiver)
        assert uids(delivery) == ["1.2.3", "1.2.5"]


def take_all_inodes(disk: Path) -> list[Path]:
    taken: list[Path] = []
    try:
        while True:
            path = disk / f"taken-{len(taken)}"
            path.touch()
            taken.append(path)
    except OSError:
        return taken


@needs_ext4
@pytest.mark.parametrize(
    ("breaks", "words"),
    [(Ext4.turn_read_only, "Read-only file system"), (Ext4.fail, "Input/output error")],
)
def test_a_disk_that_breaks_refuses_instances_and_never_confirms_a_release(
    tmp_path: Path, breaks: Callable[[Ext4], None], words: str
) -> None:
    with (
        ext4(tmp_path / "disk") as disk,
        receiver_on(disk.folder, receiver_process) as receiver,
    ):
        with receiver.associated() as earlier:
            assert earlier.store("1.2.1", content("1.2.1")).status == 0
            earlier.release()
        with receiver.associated() as scu:
            assert scu.store("1.2.3", content("1.2.3")).status == 0
            begin(scu, "1.2.4", content("1.2.4", 4 * MB))
            breaks(disk)
            scu.data(1, content("1.2.4", 4 * MB)[2 * MB :])
            response = scu.event().message
            assert (response.status, response.error_comment) == (
                0xA700,
                f"Out of resources: {words}",
            )
            assert scu.echo() == 0, "the association goes on"
            scu.ask_release()
            assert scu.aborted() == (2, 0)
        assert receiver.process.poll() is None
        assert "Traceback" not in receiver.log()
        if breaks is Ext4.turn_read_only:  # the other can be read no more
            assert [uids(check_intact(each)) for each in receiver.committed()] == [["1.2.1"]]


def begin(scu: Scu, uid: str, data: bytes) -> None:
    """The first two megabytes of an instance."""
    scu.command(1, scu.store_request(uid))
    scu.data(1, data[: 2 * MB], last=False)


@needs_tmpfs
def test_over_the_watermark_storage_is_refused_until_there_is_room_again(tmp_path: Path) -> None:
    half = {"root": "", "watermark_percent": 50, "watermark_release_percent": 50}
    with tmpfs(tmp_path / "disk", "size=8m") as disk:
        half["root"] = str(disk / "storage_root")
        with receiver_on(disk, storage=half) as receiver:
            filler = disk / "filler"
            filler.write_bytes(bytes(5 * MB))
            wait_for(lambda: is_refused(receiver))
            assert receiver.scu().rejection() == (2, 3, 1)
            with receiver.associated(contexts=[ECHO_CONTEXT]) as echo:
                assert echo.echo() == 0
                echo.release()
            filler.unlink()
            wait_for(lambda: not is_refused(receiver))
            with receiver.associated() as scu:
                assert scu.store("1.2.3", content("1.2.3")).status == 0
                scu.release()
            assert len(committed(receiver)) == 1


def is_refused(receiver: ReceiverProcess) -> bool:
    """A moment ago there was room: the file system is not asked for each association."""
    with receiver.scu() as scu:
        return hasattr(scu.request(), "reject")
