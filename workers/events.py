"""Celery's events, for Flower: sent as they happen."""

from typing import Any

from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher


class UnbufferedDispatcher(EventDispatcher):  # type: ignore[misc]
    """Celery's dispatcher without its buffer, and without its patience.

    What a thread of the pool adds to that buffer while it is flushed is dropped, and a step that
    is done would stay "started" in Flower for ever. And a heartbeat would be repeated until Redis
    is back, by the thread that is to see a SIGTERM.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "buffer_group": None})

    def send(self, *args: Any, **options: Any) -> Any:
        return super().send(*args, **{**options, "retry": False})


class Events(CeleryEvents):  # type: ignore[misc]
    dispatcher_cls = UnbufferedDispatcher
