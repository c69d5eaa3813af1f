"""Connections to Redis, with the patience that their owner can afford."""

import threading
from collections.abc import Callable
from typing import Any

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError
from redis.retry import Retry


class _Patience(Retry):
    """Retries until its owner has to stop."""

    def __init__(self, retries: int, over: threading.Event) -> None:
        super().__init__(ExponentialWithJitterBackoff(cap=1, base=0.05), retries)
        self._over = over

    def call_with_retry(
        self, do: Callable[[], Any], fail: Callable[..., Any], *args: Any, **options: Any
    ) -> Any:
        def failed(error: Exception, *count: int) -> None:
            fail(error, *count)
            if self._over.is_set():
                raise error

        return super().call_with_retry(do, failed, *args, **options)

    def __deepcopy__(self, _: object) -> "_Patience":
        return self  # each connection wants its own, and the event is one for all


def connect(url: str, *, patience: int = 0, over: threading.Event | None = None) -> Redis:
    """A client that gives up after `patience` retries of a call, at most a second apart each.

    0 suits whoever must not be held up (a receiver, a prompt); every call on the registry may be
    repeated, so a step that has to report can be patient. Once `over` is set nothing is retried.
    """
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=1,
        socket_timeout=2,
        socket_keepalive=True,
        health_check_interval=25,
        retry=_Patience(patience, over or threading.Event()),
        retry_on_error=[ConnectionError, TimeoutError, BusyLoadingError],
    )
