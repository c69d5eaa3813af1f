"""Telling the workers what was committed, from a thread of its own: no peer waits for Redis."""

import threading
from queue import Empty, Full, Queue

import structlog
from pydantic import SecretStr

from shared.settings import Settings

_MOST_WAITING = 1000
_LAST_WAIT = 3.0  # seconds for what is still to be told when the receiver ends

log = structlog.get_logger()


class Outbox:
    """Tells once and forgets: the folder in `committed/` lasts, and the workers look there too."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = settings.redis.url
        self._queue: Queue[tuple[str, str]] = Queue(_MOST_WAITING)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """What was put before is told now."""
        if self._url is not None:
            self._thread = threading.Thread(
                target=self._tell, args=(self._url,), name="outbox", daemon=True
            )
            self._thread.start()

    def put(self, delivery_id: str, priority: str) -> None:
        """Never waits. With nobody to tell, or too much to tell already, it does nothing."""
        if self._url is not None:
            try:
                self._queue.put_nowait((delivery_id, priority))
            except Full:
                log.warning("not announced: too many are waiting", delivery=delivery_id)

    def close(self) -> None:
        """Waits shortly for what is still to be told."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(_LAST_WAIT)

    def _tell(self, url: SecretStr) -> None:
        # Brings Celery with it, which takes longer to import than all else to start.
        from shared.announce import AnnounceError, connect

        announce = connect(url.get_secret_value(), self._settings)
        while not (self._closed.is_set() and self._queue.empty()):
            try:
                delivery_id, priority = self._queue.get(timeout=0.2)
            except Empty:
                continue
            try:
                announce(delivery_id, priority)
            except AnnounceError as error:
                log.warning("not announced", delivery=delivery_id, error=str(error))
