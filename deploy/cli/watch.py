"""Watching: a screen that is drawn anew each second, also after Redis was away."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer
from redis import RedisError
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from deploy.cli.common import ExitCode, fail, output
from deploy.cli.records import NoServerError, find_url
from deploy.screens.words import moment
from shared.gateway import Gateway
from shared.settings import Settings

Watch = Annotated[bool, typer.Option("--watch", help="Draw it anew each second, until Ctrl-C")]

_PERIOD = 1.0  # seconds


def watch(settings: Settings, draw: Callable[[Gateway], RenderableType]) -> None:
    """Draws until Ctrl-C; while Redis is away, what was drawn last stays, and says so."""
    console = output()
    if not console.is_terminal:
        fail("--watch draws on a terminal, and this is none", ExitCode.USAGE)
    drawn: RenderableType = Text()
    note = Text()
    try:
        with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                try:
                    # Found anew each time: `penstock up` may come back with its server elsewhere.
                    with Gateway.of(settings, find_url(settings)) as gateway:
                        drawn = draw(gateway)
                    note = Text(f"as of {moment(datetime.now().astimezone())}", style="dim")
                except RedisError as error:
                    why = f"Redis does not answer ({type(error).__name__})"
                    note = Text(f"{why}; what follows is not of now", style="bold red")
                except NoServerError as error:
                    note = Text(f"{error}; what follows is not of now", style="bold red")
                live.update(Group(note, drawn), refresh=True)
                time.sleep(_PERIOD)
    except KeyboardInterrupt:
        return
