"""What the verbs share: settings, exit codes, the way to Redis, how errors are shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

import typer
from redis import Redis, RedisError
from rich.console import Console

from deploy.embedded_server import running_url
from shared.registry.connection import connect
from shared.settings import InvalidSettingsError, Settings, load


class ExitCode(IntEnum):
    """For scripts."""

    OK = 0
    FAILED = 1  # what was asked for did not work out
    USAGE = 2  # the command line, or the settings, are wrong
    UNAVAILABLE = 69  # EX_UNAVAILABLE: Redis cannot be reached


@dataclass(frozen=True, slots=True)
class Invocation:
    """What was said before the verb."""

    config: Path | None

    def settings(self) -> Settings:
        """The settings, or the end of the program with every fault named."""
        try:
            return load(self.config)
        except InvalidSettingsError as error:
            fail(str(error), ExitCode.USAGE)


def invocation(context: typer.Context) -> Invocation:
    found = context.find_object(Invocation)
    assert found is not None
    return found


def fail(message: str, code: ExitCode = ExitCode.FAILED) -> NoReturn:
    """Says why on stderr and ends."""
    Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def output() -> Console:
    """For tables: as wide as the terminal, and wide enough where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


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
