"""`penstock echo`: the exporter's own SCU by hand."""

from typing import Annotated

import typer

from deploy.cli.common import ExitCode, fail, invocation
from shared.settings import Settings
from shared.settings.sections import Destination
from workers.scu.association import associate
from workers.scu.contexts import VERIFICATION_CONTEXT
from workers.scu.errors import NotAcceptedError, ScuError
from workers.scu.peer import Caller, Peer


def echo(
    context: typer.Context,
    destination: Annotated[str, typer.Argument(help="A destination of the settings")],
) -> None:
    """Ask a destination whether it is there (C-ECHO)."""
    settings = invocation(context).settings()
    found = named_destination(settings, destination)
    caller = Caller.of(settings, found)
    try:
        with associate(Peer.of(found), caller, [VERIFICATION_CONTEXT]) as association:
            status = association.echo()
    except (ScuError, NotAcceptedError) as error:
        fail(f"{destination}: {error}")
    if status != 0:
        fail(f"{destination}: answered with status {'none' if status is None else f'{status:04X}'}")
    typer.echo(f"{destination}: {found.ae_title} at {found.host}:{found.port} answers")


def named_destination(settings: Settings, name: str) -> Destination:
    """A destination of the settings, or the end of the program."""
    found = settings.destinations.get(name)
    if found is None:
        known = ", ".join(settings.destinations) or "none"
        fail(f"no destination is named {name!r}; there are: {known}", ExitCode.USAGE)
    return found
