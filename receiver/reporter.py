"""What the receiver tells Redis of itself: that it lives, and which associations have ended.

From a thread of its own, so that no peer waits for Redis; and not the outbox's, so that no
delivery waits for what is only history.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Full, Queue

import structlog
from pydantic import SecretStr

from shared.ended_association import EndedAssociation
from shared.receiver_state import ReceiverState
from shared.settings import Settings

_MOST_WAITING = 1000
_AT_ONCE = 100
_LAST_WAIT = 3.0  # seconds, when the receiver ends

log = structlog.get_logger()


class Reporter:
    """While Redis is away, the first `_MOST_WAITING` associations are kept and the rest dropped."""

    def __init__(self, settings: Settings) -> None:
        self.dropped = 0
        self._url = settings.redis.url
        self._queue: Queue[EndedAssociation | None] = Queue(_MOST_WAITING)
        self._untold: list[EndedAssociation] = []
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._trouble = ""

    def put(self, ended: EndedAssociation) -> None:
        """Never waits."""
        if self._url is not None:
            try:
                self._queue.put_nowait(ended)
            except Full:
                self.dropped += 1

    def start(self, state: Callable[[], ReceiverState]) -> None:
        if self._url is not None:
            self._thread = threading.Thread(
                target=self._run, args=(self._url, state), name="reporter", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Waits shortly for what is still to be told."""
        self._closed.set()
        with suppress(Full):
            self._queue.put_nowait(None)  # wakes it
        if self._thread is not None:
            self._thread.join(_LAST_WAIT)

    def _run(self, url: SecretStr, state: Callable[[], ReceiverState]) -> None:
        # These bring the client of Redis with them, which nobody needs in order to listen.
        from redis import RedisError

        from shared.registry import associations, receivers
        from shared.registry.connection import connect

        redis = connect(url.get_secret_value())
        while not self._closed.is_set():
            try:
                receivers.beat(redis, state())
                until = time.monotonic() + receivers.PERIOD
                while (left := until - time.monotonic()) > 0 and self._take(left):
                    associations.remember(redis, self._untold)
                    self._untold.clear()
            except RedisError as error:
                self._note(type(error).__name__)
                self._closed.wait(receivers.PERIOD)
            else:
                self._note("")
        with suppress(RedisError):
            receivers.leave(redis, state().id)
            while self._take(0):
                associations.remember(redis, self._untold)
                self._untold.clear()

    def _take(self, wait: float) -> bool:
        """Whether there is something to tell; waits for it so many seconds, or until the end."""
        while len(self._untold) < _AT_ONCE:
            try:
                ended = self._queue.get(timeout=0 if self._untold else wait)
            except Empty:
                break
            if ended is None:
                break
            self._untold.append(ended)
        return bool(self._untold)

    def _note(self, trouble: str) -> None:
        """Says once that Redis is away, and once that it is back."""
        if trouble and not self._trouble:
            log.warning("not reported to Redis", error=trouble)
        elif self._trouble and not trouble:
            log.info("reported to Redis again", associations_dropped=self.dropped)
        self._trouble = trouble
