"""Celery's events, for Flower: sent as they happen."""

from typing import Any

from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher


class UnbufferedDispatcher(EventDispatcher):  # type: ignore[misc]
    """Celery's dispatcher without its buffer.

    What a thread of the pool adds to that buffer while it is flushed is dropped, and a step that
    is done would stay "started" in Flower for ever.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "buffer_group": None})


class Events(CeleryEvents):  # type: ignore[misc]
    dispatcher_cls = UnbufferedDispatcher
