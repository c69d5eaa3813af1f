"""What the verbs share: settings, exit codes, how errors are shown."""

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from shared.settings import InvalidSettingsError, Settings, load

AsJson = Annotated[bool, typer.Option("--json", help="JSON for scripts")]


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
