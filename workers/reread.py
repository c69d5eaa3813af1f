"""SIGHUP: the settings are read again, and the gate gets the caps that they say."""

import signal
from types import FrameType
from typing import Any

from celery import Celery, bootsteps
from redis import RedisError

from shared.hangup import hear_hangups, hold_hangups
from workers.context import WorkerContext
from workers.steps.places import caps


class Reread:
    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._asked = False  # no event: its lock is not for signal handlers

    def on_hangup(self, app: Celery) -> None:
        """Takes the place of Celery's own answer to SIGHUP, which is to start the program anew."""

        def ask(number: int, frame: FrameType | None) -> None:
            self._asked = True

        class Listen(bootsteps.StartStopStep):  # type: ignore[misc]
            """Celery sets its signals up just before it starts these steps."""

            def start(self, worker: Any) -> None:
                signal.signal(signal.SIGHUP, ask)
                hear_hangups()

        hold_hangups()
        app.steps["worker"].add(Listen)

    def tick(self) -> None:
        """
        Raises:
            redis.RedisError: Redis is away; to be called again.
        """
        if not self._asked:
            return
        self._asked = False
        self._context.live.reread()
        try:
            settings = self._context.settings
            self._context.hasty_gate.set_caps(caps(settings), settings.as_of)
        except RedisError:
            self._asked = True
            raise
