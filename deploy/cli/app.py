"""The root of the command: options before the verb, and the verbs."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli import config, dicom, jobs, parts, up
from deploy.cli.common import Invocation

app = typer.Typer(
    name="penstock",
    help="A DICOM gateway: DICOM in, pipelines out. Not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.command("up", rich_help_panel="Run")(up.up)
app.command("demo", rich_help_panel="Run")(up.demo)
app.command("receive", rich_help_panel="Run")(parts.receive)
app.command("work", rich_help_panel="Run")(parts.work)
app.command("flower", rich_help_panel="Run")(parts.flower)
app.add_typer(jobs.app, name="jobs", rich_help_panel="Look")
app.command("echo", rich_help_panel="DICOM")(dicom.echo)
app.command("send", rich_help_panel="DICOM")(dicom.send)
app.add_typer(config.app, name="config", rich_help_panel="Settings")


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
            "--config", "-c", help="Settings file [default: ./penstock.toml, else the defaults]"
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = Invocation(config)


def main() -> None:
    app()
