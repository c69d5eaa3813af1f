"""Locks that live as long as any process holds the open file."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shared.locked_file import LockedFile
from tests.support.waiting import wait_for

HOLD = "import sys; print('here', flush=True); sys.stdin.read()"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.lock"


def is_free(path: Path) -> bool:
    lock = LockedFile.try_lock(path)
    if lock is None:
        return False
    lock.close()
    return True


def holder(*descriptors: int) -> "subprocess.Popen[str]":
    """A child that has inherited the descriptors, and lives until its stdin ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=descriptors,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "here\n"
    return child


def test_a_second_is_refused_while_the_first_holds_it_in_this_process_too(path: Path):
    with LockedFile.lock(path):
        assert LockedFile.try_lock(path) is None
    assert is_free(path)


def test_the_file_is_made_if_it_is_missing_and_kept_as_it_is(path: Path):
    assert is_free(path)
    path.write_text("a note")
    with LockedFile.lock(path):
        assert path.read_text() == "a note"


def test_a_missing_folder_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        LockedFile.try_lock(tmp_path / "missing" / "run.lock")


def test_waiting_for_a_lock_ends_when_it_is_free(path: Path):
    first = LockedFile.lock(path)
    got = threading.Event()

    def wait() -> None:
        with LockedFile.lock(path):
            got.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert not got.wait(0.05)
    first.close()
    assert got.wait(15)
    waiter.join()


def test_a_child_that_inherited_it_holds_it_on_after_the_parent_closed(path: Path):
    lock = LockedFile.lock(path)
    with holder(lock.descriptor) as child:
        lock.close()
        assert LockedFile.try_lock(path) is None
        assert child.stdin is not None
        child.stdin.close()
        child.wait()
        assert is_free(path)


def test_a_child_that_did_not_inherit_it_does_not_hold_it(path: Path):
    lock = LockedFile.lock(path)
    with holder() as child:
        lock.close()
        assert is_free(path)
        assert child.stdin is not None
        child.stdin.close()


def test_a_killed_owner_holds_nothing(path: Path):
    lock = LockedFile.lock(path)
    with holder(lock.descriptor) as child:
        lock.close()
        child.kill()
        child.wait()
        wait_for(lambda: is_free(path))
