"""One thread that ends connections whose peer has let the time run out."""

import threading
import time
from collections.abc import Callable, Iterable

from receiver.connection import Connection

_TICK = 0.1  # seconds: as late as a deadline may be noticed


class Watchdog:
    def __init__(self, connections: Callable[[], Iterable[Connection]]) -> None:
        self._connections = connections
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(_TICK):
            now = time.monotonic()
            for connection in self._connections():
                if connection.deadline < now:
                    connection.end(connection.overdue)
