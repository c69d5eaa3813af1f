"""What a program prints, on disk and within a limit: its first words and its last."""

from pathlib import Path

import structlog

log = structlog.get_logger()


class OutputLog:
    """The beginning is written as it comes; of what is too much, the end is kept until `close`.

    A disk that takes no more never harms the program: what it prints is then lost.
    """

    def __init__(self, path: Path, limit: int) -> None:
        """`limit` in bytes, for both parts together."""
        self._path = path
        self._half = limit // 2
        self._room = limit - self._half
        self._tail = bytearray()
        self._left_out = 0
        self._whole = True
        self._append(b"")

    def write(self, data: bytes) -> None:
        if self._room:
            self._append(data[: self._room])
            data, self._room = data[self._room :], max(0, self._room - len(data))
        self._tail += data
        if len(self._tail) > 2 * self._half:  # not each time: that would copy it each time
            self._shorten()

    def close(self) -> None:
        self._shorten()
        if self._left_out:
            self._append(b"\n[%d bytes are left out here]\n" % self._left_out)
        self._append(self._tail)

    def _shorten(self) -> None:
        excess = max(0, len(self._tail) - self._half)
        del self._tail[:excess]
        self._left_out += excess

    def _append(self, data: bytes | bytearray) -> None:
        try:
            with self._path.open("ab", buffering=0) as file:
                file.write(data)
        except OSError as error:
            if self._whole:
                log.warning("a program's output is not kept", error=error.strerror)
            self._whole = False
