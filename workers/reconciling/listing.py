"""The ids in a folder that may hold very many, read again only when the folder has changed."""

import os
import time
from pathlib import Path

from shared.ids import is_id

_SETTLED = 2.0  # seconds: far longer than a tick of the coarsest clock of a file system


class Listing:
    """A folder that changed is read at each look until its time has stayed the same for a while.

    What comes into it in the very moment of a look may not change its time any more.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ids: set[str] = set()
        self._changed = -1  # ns
        self._seen = 0.0  # when that was first seen, by our own clock
        self._settled = False

    def ids(self) -> set[str]:
        """The same set object while nothing was read.

        Raises:
            OSError: the storage is away.
        """
        changed = self._folder.stat().st_mtime_ns
        now = time.monotonic()
        if changed != self._changed:
            self._changed, self._seen, self._settled = changed, now, False
        if not self._settled:
            with os.scandir(self._folder) as entries:
                self._ids = {entry.name for entry in entries if is_id(entry.name)}
            self._settled = now - self._seen > _SETTLED
        return self._ids
