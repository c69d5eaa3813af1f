"""`penstock.finish`: the Celery task by which engines elsewhere tell how an attempt ended.

Its name, its queue and its arguments are for others to use: docs/pipelines.md.

No Celery worker takes it: that takes a message off its queue before anything is done about it, and
loses it if it is killed then. Here it leaves its queue once what it tells is on disk.
"""

import json
from base64 import b64decode
from typing import Any, cast

import structlog
from kombu.exceptions import KombuError
from kombu.message import Message
from pydantic import BaseModel, ValidationError
from redis import Redis

from shared.broker import FINISH_QUEUE, FINISH_TASK
from workers.attempts.callback import CallbackRefusedError, finish
from workers.attempts.handover import Told
from workers.context import WorkerContext

log = structlog.get_logger()

_AT_ONCE = 100
# As Celery's transport names the lists of a queue's messages, by their priority.
_LISTS = (FINISH_QUEUE, *(f"{FINISH_QUEUE}\x06\x16{priority}" for priority in (3, 6, 9)))


class _Arguments(BaseModel):
    """In the order in which they may come."""

    job: str
    token: str
    succeeded: bool
    message: str = ""
    retry: bool = False

    @property
    def told(self) -> Told:
        if self.succeeded:
            return Told.SUCCEEDED
        return Told.RETRY if self.retry else Told.FAILED


class _NotUnderstoodError(Exception):
    """No message of this task."""


class FinishMessages:
    """`tick` often. Two workers may be at the same message: what it tells counts once."""

    def __init__(self, context: WorkerContext, redis: Redis) -> None:
        self._context = context
        self._redis = redis

    def tick(self) -> None:
        """
        Raises:
            redis.RedisError, OSError: Redis or the storage is away; to be called again.
        """
        failed: OSError | None = None
        for name in _LISTS:
            texts = cast("list[str]", self._redis.lrange(name, -_AT_ONCE, -1))
            for text in reversed(texts):
                try:
                    self._take(text)
                except OSError as error:  # perhaps of this job's folder alone
                    failed = error
                else:
                    self._redis.lrem(name, -1, text)
        if failed:
            raise failed

    def _take(self, text: str) -> None:
        try:
            told = _read(text)
        except _NotUnderstoodError:
            log.error("a message of an engine is not understood", queue=FINISH_QUEUE)
            return
        try:
            finish(self._context, told.job, told.token, told.told, told.message)
        except CallbackRefusedError as error:
            log.warning("callback refused", job=told.job, reason=str(error))
        except ValidationError:
            log.error("callback not taken: the job's record on disk is damaged", job=told.job)
        else:
            log.info("callback taken", job=told.job, told=told.told)


def _read(text: str) -> _Arguments:
    """Of a message in either form that Celery has (its protocols 1 and 2)."""
    try:
        envelope = json.loads(text)
        headers = envelope["headers"]
        content = _content(envelope)
        if isinstance(content, dict):
            name, positional, named = content["task"], content["args"], content["kwargs"]
        else:
            name, (positional, named, _) = headers["task"], content
        if name != FINISH_TASK:
            raise _NotUnderstoodError
        given = dict(zip(_Arguments.model_fields, positional, strict=False)) | named
        return _Arguments.model_validate(given)
    except (KombuError, KeyError, TypeError, ValueError):
        raise _NotUnderstoodError from None


def _content(envelope: dict[str, Any]) -> Any:
    body = envelope["body"]
    if envelope["properties"].get("body_encoding") == "base64":
        body = b64decode(body)
    return Message(
        body=body,
        content_type=envelope["content-type"],
        content_encoding=envelope["content-encoding"],
        headers=envelope["headers"],
        accept={"application/json"},
    ).decode()
