"""What the receiver counts: at an instance's or an association's end, never at a fragment."""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

COMMIT_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds


@dataclass(frozen=True, slots=True)
class Counts:
    """Since the start of the process."""

    associations: Mapping[tuple[str, str], int]  # by end and its cause
    statuses: Mapping[int, int]  # C-STORE responses
    instances: int  # kept
    bytes: int  # of their files
    commits: tuple[int, ...]  # by the first bound that they were within, the last: within none
    commit_seconds: float  # of all together


class Tally:
    """For all associations of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._associations: Counter[tuple[str, str]] = Counter()
        self._statuses: Counter[int] = Counter()
        self._instances = 0
        self._bytes = 0
        self._commits = [0] * (len(COMMIT_BOUNDS) + 1)
        self._commit_seconds = 0.0

    def responded(self, status: int, kept: int) -> None:
        """To a C-STORE, of which a file of `kept` bytes stays; 0: none."""
        with self._lock:
            self._statuses[status] += 1
            if kept:
                self._instances += 1
                self._bytes += kept

    def committed(self, seconds: float) -> None:
        with self._lock:
            self._commits[bisect_left(COMMIT_BOUNDS, seconds)] += 1
            self._commit_seconds += seconds

    def ended(self, end: str, cause: str) -> None:
        with self._lock:
            self._associations[end, cause] += 1

    def counts(self) -> Counts:
        with self._lock:
            return Counts(
                dict(self._associations),
                dict(self._statuses),
                self._instances,
                self._bytes,
                tuple(self._commits),
                self._commit_seconds,
            )
