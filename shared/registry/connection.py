"""Connections to Redis, with the patience that their owner can afford."""

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError
from redis.retry import Retry


def connect(url: str, *, patience: int = 0) -> Redis:
    """A client that gives up after `patience` retries of a call, at most a second apart each.

    0 suits whoever must not be held up (a receiver, a prompt); every call on the registry may be
    repeated, so a step that has to report can be patient.
    """
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=1,
        socket_timeout=2,
        socket_keepalive=True,
        health_check_interval=25,
        retry=Retry(ExponentialWithJitterBackoff(cap=1, base=0.05), patience),
        retry_on_error=[ConnectionError, TimeoutError, BusyLoadingError],
    )
