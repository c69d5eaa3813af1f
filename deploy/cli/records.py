"""The way to the records in Redis, for the verbs that look at them."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis, RedisError

from deploy.cli.common import ExitCode, fail
from deploy.embedded_server import running_url
from shared.registry.connection import connect
from shared.settings import Settings


def redis_url(settings: Settings) -> str:
    """Where the records are: `redis.url`, else the server of a `penstock up` on this storage."""
    if settings.redis.url is not None:
        return settings.redis.url.get_secret_value()
    url = running_url(settings.storage.root / "redis")
    if url is None:
        fail(
            f"no redis.url in the settings, and no `penstock up` runs on {settings.storage.root}",
            ExitCode.UNAVAILABLE,
        )
    return url


@contextmanager
def records(settings: Settings) -> Iterator[Redis]:
    """The records for the time of the block; Redis being away is an exit code of its own."""
    with connect(redis_url(settings)) as redis:
        try:
            yield redis
        except RedisError as error:
            fail(f"Redis does not answer: {type(error).__name__}", ExitCode.UNAVAILABLE)
