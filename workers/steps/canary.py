"""The canary: a task that this process publishes to itself, to see that it still consumes."""

from datetime import UTC, datetime

from celery import Celery
from kombu import Queue as KombuQueue
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError

from shared.broker import celery_app
from shared.registry import keys

_TASK = "penstock.canary"


class Canary:
    def __init__(self, worker: str, url: str) -> None:
        self.queue = keys.CANARIES + worker
        self.last: datetime | None = None  # when one was consumed
        self.unanswered = 0  # sent since then
        # Not declared: Redis would keep its binding for good.
        self._queue = KombuQueue(self.queue, routing_key=self.queue, no_declare=True)
        self._publisher = celery_app(url)
        self._publisher.conf.task_send_sent_event = False

    def live_in(self, app: Celery) -> None:
        """Adds the task and its queue to a worker's app; without events: Flower is for steps."""
        app.conf.task_queues = [*app.conf.task_queues, self._queue]
        app.task(name=_TASK, acks_late=False, send_events=False)(self._arrive)

    def send(self) -> None:
        """
        Raises:
            redis.ConnectionError: Redis is away.
        """
        try:
            self._publisher.send_task(_TASK, queue=self._queue, retry=False)
        except OperationalError as error:
            raise ConnectionError(str(error)) from error
        self.unanswered += 1

    def _arrive(self) -> None:
        self.last = datetime.now(UTC)
        self.unanswered = 0
