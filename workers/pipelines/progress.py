"""How far a program says that it is: `PENSTOCK_PROGRESS 0.4 text`, a line of what it prints."""

import re
import time
from collections.abc import Callable

_LINE = re.compile(rb"^PENSTOCK_PROGRESS[ \t]+(1(?:\.0*)?|0?\.\d+|0)(?=\s|$)", re.MULTILINE)
_LONGEST = 256  # bytes of a line that are looked at
_PERIOD = 1.0  # seconds between two words on it


class Progress:
    """Only the fraction is told on. The text is the program's own, and may name a patient."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell = tell
        self._rest = b""
        self._latest: float | None = None
        self._told: float | None = None
        self._told_at = -_PERIOD

    def take(self, data: bytes) -> None:
        """What was printed, in pieces of any size."""
        lines, _, rest = (self._rest + data).rpartition(b"\n")
        self._rest = rest[:_LONGEST]
        for match in _LINE.finditer(lines):
            self._latest = float(match[1])

    def tell(self) -> None:
        """Tells what is new, but not too often; to be called now and then."""
        now, latest = time.monotonic(), self._latest
        if latest is None or latest == self._told or now - self._told_at < _PERIOD:
            return
        self._told, self._told_at = latest, now
        self._tell(latest)
