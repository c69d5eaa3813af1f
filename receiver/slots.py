"""The association limit, over all AE titles of the process."""

import threading


class Slots:
    """A slot is taken when an A-ASSOCIATE-RQ is wholly read, and freed when its association ends.

    A TCP connection that negotiates nothing holds none.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit  # may be changed: who holds a slot keeps it
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        return self._taken

    @property
    def at_limit(self) -> bool:
        return self._taken >= self.limit

    def take(self) -> bool:
        """Whether there was one left."""
        with self._lock:
            if self.at_limit:
                return False
            self._taken += 1
            return True

    def free(self) -> None:
        with self._lock:
            self._taken -= 1
