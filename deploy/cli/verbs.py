"""The verbs of the command, each imported only when it is asked for: a receiver starts at once."""

from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group


class Verb(NamedTuple):
    panel: str  # of `penstock --help`
    module: str
    name: str  # in the module, of a function or of a `typer.Typer` with verbs of its own
    rereads: bool = False  # its settings, at a SIGHUP


VERBS: Final = {
    "up": Verb("Run", "deploy.cli.up", "up", rereads=True),
    "demo": Verb("Run", "deploy.cli.up", "demo"),
    "receive": Verb("Run", "deploy.cli.receive", "receive", rereads=True),
    "work": Verb("Run", "deploy.cli.parts", "work", rereads=True),
    "flower": Verb("Run", "deploy.cli.parts", "flower"),
    "status": Verb("Look", "deploy.cli.status", "status"),
    "associations": Verb("Look", "deploy.cli.associations", "associations"),
    "jobs": Verb("Look", "deploy.cli.jobs", "app"),
    "exports": Verb("Look", "deploy.cli.exports", "app"),
    "destinations": Verb("Look", "deploy.cli.destinations", "app"),
    "aborted": Verb("Decide", "deploy.cli.aborted", "app"),
    "quarantine": Verb("Decide", "deploy.cli.quarantine", "app"),
    "recover": Verb("Decide", "deploy.cli.recover", "recover"),
    "send": Verb("DICOM", "deploy.cli.send", "send"),
    "export": Verb("DICOM", "deploy.cli.export", "export"),
    "config": Verb("Settings", "deploy.cli.config", "app"),
}


class Verbs(TyperGroup):
    """The group that the root is."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if (verb := VERBS.get(cmd_name)) is None:
            return None
        found = getattr(import_module(verb.module), verb.name)
        command: Any
        if isinstance(found, typer.Typer):
            command = get_group(found)
        else:
            alone = typer.Typer(add_completion=False)
            alone.command()(found)
            command = get_command(alone)
        command.name = cmd_name
        command.rich_help_panel = verb.panel
        return command
