"""Telling the workers of a committed delivery. The committed folder says it too, and lasts."""

from collections.abc import Callable

from redis import RedisError

from shared.broker import celery_app
from shared.registry.connection import connect as connect_redis
from shared.registry.gate import Gate, Leases
from shared.registry.step import Priority, Queue, Step
from shared.settings import Settings
from shared.step_line import StepLine


class AnnounceError(Exception):
    """Redis did not take it; the workers will find the folder by themselves."""


def dispatch_step(delivery_id: str, priority: str) -> Step:
    """The step that takes a committed delivery over."""
    return Step(delivery_id, Queue.DISPATCH, "dispatch", priority=Priority.named(priority))


def leases(settings: Settings) -> Leases:
    return Leases(settings.workers.granted_lease, settings.workers.running_lease)


def connect(url: str, settings: Settings) -> Callable[[str, str], None]:
    """A function of delivery id and priority; it raises `AnnounceError` within seconds."""
    line = StepLine(Gate(connect_redis(url), leases(settings)), celery_app(url))

    def announce(delivery_id: str, priority: str) -> None:
        try:
            line.submit(dispatch_step(delivery_id, priority))
        except RedisError as error:
            raise AnnounceError(type(error).__name__) from error

    return announce
