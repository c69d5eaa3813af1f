"""How much of the disk an attempt takes up."""

import contextlib
import os
import time
from pathlib import Path

_PERIOD = 1.0  # seconds between two looks
_SHARE = 20  # a look may take this part of the time, however many files there are


class DiskLimit:
    """Watches a folder; without a limit it never looks."""

    def __init__(self, folder: Path, limit: int | None) -> None:
        """`limit` in bytes."""
        self.limit = limit or 0
        self._folder = folder
        self._next = 0.0

    def is_passed(self) -> bool:
        """As it was when last looked at, which is a second ago at most for most folders."""
        now = time.monotonic()
        if not self.limit or now < self._next:
            return False
        used = disk_use(self._folder)
        self._next = now + max(_PERIOD, _SHARE * (time.monotonic() - now))
        return used > self.limit


def disk_use(folder: Path) -> int:
    """Bytes of all files under a folder, as they stand on the disk; links are not followed."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                total += Path(parent, name).lstat().st_blocks * 512
    return total
