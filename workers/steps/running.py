"""The steps that this process runs now: never more than it has places."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Running:
    """The gate counts places over all workers, and Celery hands a message to any of them."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._steps: list[str] = []
        self._lock = threading.Lock()

    @contextmanager
    def place_for(self, step_id: str) -> Iterator[bool]:
        """Whether there is a place, which is the step's while the block runs."""
        with self._lock:
            free = len(self._steps) < self._places
            if free:
                self._steps.append(step_id)
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._steps.remove(step_id)

    @property
    def steps(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._steps)
