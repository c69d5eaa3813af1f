"""Noticing that a file was changed, by looking now and then: it costs one stat."""

from pathlib import Path

_Stamp = tuple[int, int, int] | None  # inode, modified (ns), size; None: not there


class FileWatch:
    """Without a path, nothing ever changes."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known = self._last = self._stamp()

    def changed(self) -> bool:
        """Whether the file is another than the one last told of.

        Only once it stayed the same between two looks: nobody is in the middle of writing it.
        """
        last, self._last = self._last, self._stamp()
        if self._last != last or self._last == self._known:
            return False
        self._known = self._last
        return True

    def _stamp(self) -> _Stamp:
        if self._path is None:
            return None
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
