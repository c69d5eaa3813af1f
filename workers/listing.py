"""The ids in a folder that may hold very many, read again only when the folder has changed."""

import os
from pathlib import Path

from shared.ids import is_id


class Listing:
    """For looks that are seconds apart.

    A folder that changed is read at the next two looks: what comes into it in the very moment of
    the first one may not change its time any more.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ids: set[str] = set()
        self._changed = (-1, -2)  # when, at the last two looks (ns)

    def ids(self) -> set[str]:
        """
        Raises:
            OSError: the storage is away.
        """
        before, last = self._changed
        now = self._folder.stat().st_mtime_ns
        if not before == last == now:
            with os.scandir(self._folder) as entries:
                self._ids = {entry.name for entry in entries if is_id(entry.name)}
            self._changed = (last, now)
        return self._ids
