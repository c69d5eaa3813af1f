"""The way to the records in Redis, for the verbs that look at them."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis, RedisError

from deploy.cli.common import ExitCode, fail
from deploy.embedded_server import running_url
from shared.gateway import Gateway
from shared.registry.connection import connect
from shared.settings import Settings


class NoServerError(Exception):
    """There is no Redis to ask."""


def find_url(settings: Settings) -> str:
    """Where the records are: `redis.url`, else the server of a `penstock up` on this storage.

    Raises:
        NoServerError: neither is there.
    """
    if settings.redis.url is not None:
        return settings.redis.url.get_secret_value()
    url = running_url(settings.storage.root / "redis")
    if url is None:
        raise NoServerError(
            f"no redis.url in the settings, and no `penstock up` runs on {settings.storage.root}"
        )
    return url


def redis_url(settings: Settings) -> str:
    """As `find_url`; its failure is the end of the program."""
    try:
        return find_url(settings)
    except NoServerError as error:
        fail(str(error), ExitCode.UNAVAILABLE)


@contextmanager
def records(settings: Settings) -> Iterator[Redis]:
    """The records for the time of the block; Redis being away is an exit code of its own."""
    with connect(redis_url(settings)) as redis, _answering():
        yield redis


@contextmanager
def gateway(settings: Settings) -> Iterator[Gateway]:
    """The gateway to ask, for the time of the block; exit codes as with `records`."""
    with Gateway.of(settings, redis_url(settings)) as found, _answering():
        yield found


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        fail(f"Redis does not answer: {type(error).__name__}", ExitCode.UNAVAILABLE)
