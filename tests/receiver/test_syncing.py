import os
import threading
from pathlib import Path

import pytest

from receiver.syncing import SyncPool


def opened(folder: Path, name: str) -> int:
    return os.open(folder / name, os.O_WRONLY | os.O_CREAT)


def test_all_files_are_synced_and_closed_when_waiting_is_over(tmp_path: Path) -> None:
    pool = SyncPool()
    batch = pool.batch()
    descriptors = [opened(tmp_path, str(number)) for number in range(50)]
    for descriptor in descriptors:
        batch.add(descriptor)
    batch.wait()
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    pool.close()


def test_one_association_may_not_fill_the_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.syncing._PENDING_OF_ONE", 2)
    monkeypatch.setattr("receiver.syncing._TOGETHER", 1)
    disk_is_slow = threading.Event()
    monkeypatch.setattr("receiver.syncing.os.fsync", lambda descriptor: disk_is_slow.wait())
    pool = SyncPool()
    batch = pool.batch()
    batch.add(opened(tmp_path, "1"))
    batch.add(opened(tmp_path, "2"))
    third = threading.Thread(target=batch.add, args=(opened(tmp_path, "3"),))
    third.start()
    third.join(0.1)
    assert third.is_alive()
    disk_is_slow.set()
    third.join(5)
    batch.wait()
    pool.close()


def test_a_failure_is_that_association_s_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, sound = opened(tmp_path, "bad"), opened(tmp_path, "good")

    def fsync(descriptor: int) -> None:
        if descriptor == failing:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("receiver.syncing.os.fsync", fsync)
    pool = SyncPool()
    one, two = pool.batch(), pool.batch()
    one.add(failing)
    two.add(sound)
    two.wait()
    with pytest.raises(OSError, match="Input/output error"):
        one.wait()
    pool.close()


def test_a_file_that_fails_as_it_is_closed_fails_its_association_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptors = [opened(tmp_path, str(number)) for number in range(20)]
    failing, sound = descriptors[:10], descriptors[10:]
    close = os.close

    def closing(descriptor: int) -> None:
        close(descriptor)
        if descriptor in failing:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("receiver.syncing.os.close", closing)
    pool = SyncPool()
    one, two = pool.batch(), pool.batch()
    for descriptor in failing:
        one.add(descriptor)
    with pytest.raises(OSError, match="Input/output error"):
        one.wait()
    for descriptor in sound:
        two.add(descriptor)
    two.wait()
    pool.close()
