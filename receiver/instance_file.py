"""One instance on its way to disk: `<n>.part` until its last byte is there."""

import os
from itertools import islice
from pathlib import Path

from shared import durable
from shared.delivery import PARTIAL_SUFFIX
from shared.same_bytes import same_from

_IOV_MAX = 1024  # buffers in one writev (limits.h)


class InstanceFile:
    """Written once, then never again: its mode says so.

    Raises (all methods):
        OSError: the disk is full or failed; `discard` the file then.
    """

    def __init__(self, folder: Path, number: int, head: bytes) -> None:
        # Paths are texts here: pathlib's price would be a tenth of a small instance's.
        self._folder = str(folder)
        self.path = f"{self._folder}/{number}{PARTIAL_SUFFIX}"
        self.head_size = len(head)
        self.size = 0
        self._waiting: list[bytes | memoryview] = [head]
        self._open = True
        self.descriptor = os.open(
            self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o440
        )

    def add(self, fragment: memoryview) -> None:
        """To be written at the next `flush`, before the memory under `fragment` changes."""
        self._waiting.append(fragment)

    def flush(self) -> None:
        """Writes what was added, in as few calls as there can be."""
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), _IOV_MAX):
            self._write(list(islice(waiting, start, start + _IOV_MAX)))

    def _write(self, buffers: list[bytes | memoryview]) -> None:
        total = sum(map(len, buffers))
        missing = total - os.writev(self.descriptor, buffers)
        self.size += total
        if missing:  # cut short, as by a disk that has just become full
            rest = memoryview(b"".join(buffers))[-missing:]
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]

    def rename(self, name: str) -> None:
        target = f"{self._folder}/{name}"
        os.rename(self.path, target)  # noqa: PTH104
        self.path = target

    def sync(self) -> None:
        """The file and its name."""
        os.fsync(self.descriptor)
        durable.sync_directory(Path(self._folder))

    def hand_over(self) -> int:
        """The open descriptor, for another to sync and close."""
        self._open = False
        return self.descriptor

    def close(self) -> None:
        if self._open:
            self._open = False
            os.close(self.descriptor)

    def discard(self) -> None:
        self.close()
        Path(self.path).unlink(missing_ok=True)

    def has_same_data_set(self, name: str, head_size: int) -> bool:
        """Whether the data set in the other file of that name is byte for byte this one."""
        other = Path(self._folder, name)
        return same_from(Path(self.path), self.head_size, other, head_size)
