"""Submitting steps and calling up what the gate admits: gate and broker as one."""

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis import RedisError

from shared.broker import publish
from shared.registry.gate import Gate
from shared.registry.step import Queue, Step

log = structlog.get_logger()


class StepLine:
    """Where every process that makes work for another hands it in."""

    def __init__(self, gate: Gate, app: Celery) -> None:
        self._gate = gate
        self._app = app

    def submit(self, step: Step) -> str:
        """Lets a step wait, and calls up what may start; the step's state before that.

        Raises:
            redis.RedisError: Redis is away and the step is not submitted.
        """
        state = self._gate.submit(step)
        self.call_up(step.queue)
        return state

    def withdraw(self, step_id: str) -> bool:
        """See `Gate.withdraw`."""
        return self._gate.withdraw(step_id)

    def call_up(self, queue: Queue) -> None:
        """Publishes each step that the gate admits now.

        A failure only costs time: a step admitted but not published is granted again when its
        lease runs out, and every worker's ticker calls this too.
        """
        try:
            for grant in self._gate.grant(queue):
                publish(self._app, queue, grant)
        except (RedisError, OperationalError) as error:
            log.warning("steps not called up", queue=queue, error=type(error).__name__)
