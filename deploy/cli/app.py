"""The root of the command: options before the verb."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.common import Invocation
from deploy.cli.verbs import VERBS, Verbs
from shared.hangup import hear_hangups

app = typer.Typer(
    name="penstock",
    cls=Verbs,
    help="A DICOM gateway: DICOM in, pipelines out. Not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"penstock {version('penstock')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="Settings file",
            show_default="./penstock.toml, else the defaults",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    if not VERBS[str(context.invoked_subcommand)].rereads:
        hear_hangups()
    context.obj = Invocation(config)
