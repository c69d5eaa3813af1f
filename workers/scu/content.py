"""A file's bytes on their way to a socket, through one buffer that is used over and over."""

import os
from contextlib import suppress
from pathlib import Path

_SIZE = 1 << 20  # bytes; even, PS3.8 E.1


class ShortenedError(OSError):
    """The file has fewer bytes than it had when it was opened."""


class Content:
    """A file that is open, from an offset on; `piece` holds the first bytes at once.

    Reading into the same memory is faster than mapping the file, or than `sendfile`. And a file
    that somebody cuts off meanwhile is an error here; of a mapping it is the end of the process.
    """

    def __init__(self, path: Path, offset: int, buffer: memoryview) -> None:
        """
        Raises:
            OSError: it cannot be read.
        """
        self.begins = path, offset
        self._offset = offset
        self._buffer = buffer
        self._descriptor = os.open(path, os.O_RDONLY)
        try:
            self._size = os.fstat(self._descriptor).st_size
            self.read_on()
        except OSError:
            self.close()
            raise

    def read_on(self) -> None:
        """Puts the next bytes in the place of those in `piece`; `is_last` if they are.

        Raises:
            OSError: they cannot be read.
        """
        left = self._size - self._offset
        self.is_last = left <= _SIZE
        self.piece = self._buffer[:left] if self.is_last else self._buffer
        if left < 0 or os.preadv(self._descriptor, [self.piece], self._offset) < len(self.piece):
            raise ShortenedError("the file became shorter while it was sent")
        self._offset += len(self.piece)

    def close(self) -> None:
        os.close(self._descriptor)


class Contents:
    """One content after another, in the same memory.

    Of the one that is to follow, the first bytes can be there before they are asked for.
    """

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(_SIZE))
        self._ahead: Content | None = None

    def open(self, path: Path, offset: int) -> Content:
        """The content of a file from `offset` on; ends those that were opened before.

        Raises:
            OSError: it cannot be read.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            if ahead.begins == (path, offset):
                return ahead
            ahead.close()
        return Content(path, offset, self._buffer)

    def read_ahead(self, path: Path, offset: int) -> None:
        """Opens what is asked for next; what cannot be read, `open` says."""
        self.close()
        with suppress(OSError):
            self._ahead = Content(path, offset, self._buffer)

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None
