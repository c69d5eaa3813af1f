"""A file's bytes on their way to a socket, through one buffer that is used over and over."""

import os
from collections.abc import Generator
from pathlib import Path

_SIZE = 1 << 20  # bytes; even, PS3.8 E.1


class ShortenedError(OSError):
    """The file has fewer bytes than it had when it was opened."""


class Content:
    """Reading into the same memory is faster than mapping the file, or than `sendfile`.

    And a file that somebody cuts off meanwhile is an error here; of a mapping it is the end of the
    process.
    """

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(_SIZE))

    def pieces(self, path: Path, offset: int) -> Generator[tuple[memoryview, bool], None, None]:
        """The pieces of a file from `offset` on, and of each whether it is the last.

        A piece is good until the next one is asked for. Of an empty content there is one, too.

        Raises:
            OSError: it cannot be read.
        """
        descriptor = os.open(path, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            last = False
            while not last:
                last = size - offset <= _SIZE
                piece = self._buffer[: size - offset] if last else self._buffer
                if offset > size or os.preadv(descriptor, [piece], offset) < len(piece):
                    raise ShortenedError("the file became shorter while it was sent")
                offset += len(piece)
                yield piece, last
        finally:
            os.close(descriptor)
