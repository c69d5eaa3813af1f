"""Whether this process consumes: told to Redis, and the end of a process that does not."""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NoReturn

import structlog
from redis import Redis, RedisError

from shared.registry import workers
from shared.registry.step import Queue
from shared.worker_state import WorkerState
from workers.context import WorkerContext
from workers.steps.canary import Canary
from workers.steps.places import Places

log = structlog.get_logger()

EXIT_CODE = os.EX_TEMPFAIL  # whoever keeps us running is to start us anew
_CANARIES = 12  # sent in `workers.canary_timeout`
_LASTS = 10.0  # seconds that a worker's word lasts, at least
_HAND_BACK = 5.0  # seconds for interrupted steps to stop
_LAST_WORDS = 1.0  # seconds to tell the gate of it


class Health:
    """To be asked each `period`. Suspended together with its process it finds no fault."""

    def __init__(
        self,
        redis: Redis,
        context: WorkerContext,
        canary: Canary,
        places: Mapping[Queue, int],
        end: Callable[[], None],
    ) -> None:
        """`end` is called, once, when nothing is consumed any more though Redis answers."""
        self.period = context.settings.workers.canary_timeout / _CANARIES
        self._redis = redis
        self._context = context
        self._canary = canary
        self._places = dict(places)
        self._end = end
        self._name, _, self._host = context.who.rpartition("@")
        self._since = datetime.now(UTC)
        self._draining = False

    def tick(self) -> None:
        """
        Raises:
            redis.RedisError: Redis is away, which is no fault of this process.
        """
        try:
            workers.beat(self._redis, self._state(), lasts=max(_LASTS, 3 * self.period))
            if not self._draining:
                self._canary.send()
        except RedisError:
            self._canary.unanswered = 0
            raise
        if self._canary.unanswered > _CANARIES:
            self.drain()
            self.leave()
            self._end()

    def drain(self) -> None:
        """From now on nothing is consumed, and that is as it should be."""
        self._draining = True
        self._canary.unanswered = 0

    def leave(self) -> None:
        """The process stops."""
        with contextlib.suppress(RedisError):  # it is forgotten in a few seconds
            workers.leave(self._redis, self._context.id)

    def _state(self) -> WorkerState:
        return WorkerState(
            id=self._context.id,
            name=self._name,
            host=self._host,
            pid=os.getpid(),
            since=self._since,
            revision=self._context.settings.revision,
            places={queue.value: count for queue, count in self._places.items()},
            running=self._context.running.steps,
            last_canary=self._canary.last,
            draining=self._draining,
        )


def end_process(context: WorkerContext, places: Places) -> NoReturn:
    """Lets what runs end within the drain time, hands back what does not, and exits."""
    log.critical("nothing is consumed though Redis answers: this worker ends")
    places.withdraw()
    _wait(context, context.settings.workers.drain_timeout)
    context.stopping.set()
    _wait(context, _HAND_BACK)
    time.sleep(_LAST_WORDS)
    os._exit(EXIT_CODE)  # Celery's own way out would wait for what does not consume


def _wait(context: WorkerContext, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while context.running.steps and time.monotonic() < deadline:
        time.sleep(0.1)
