"""`penstock destinations`: how each stands, and whether anything is to be sent to it."""

from typing import Annotated

import typer

from deploy.cli.common import AsJson, ExitCode, fail, invocation, output
from deploy.cli.jsonable import to_json
from deploy.cli.named_destination import named_destination
from deploy.cli.records import gateway, records
from deploy.screens.destinations_table import destinations_table
from shared.announce import leases
from shared.pauses import Pauses
from shared.person import person
from shared.registry.gate import Gate
from shared.tree import StorageTree
from workers.scu.association import associate
from workers.scu.contexts import VERIFICATION_CONTEXT
from workers.scu.errors import NotAcceptedError, ScuError
from workers.scu.peer import Caller, Peer

app = typer.Typer(
    help="How the destinations stand; pause, resume or try one.", invoke_without_command=True
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="A destination of the settings")]


@app.callback()
def destinations(context: typer.Context, as_json: AsJson = False) -> None:
    """List them with their health, what waits for them, and what they were sent today."""
    if context.invoked_subcommand is not None:
        return
    settings = invocation(context).settings()
    with gateway(settings) as found:
        views = found.destinations()
    if as_json:
        typer.echo(to_json(views))
        return
    addresses = {
        name: f"{each.ae_title} at {each.host}:{each.port}"
        for name, each in settings.destinations.items()
    }
    output().print(destinations_table(views, addresses))


@app.command()
def pause(context: typer.Context, name: Name) -> None:
    """Start no send to it until it is resumed, whatever is restarted; one under way goes on."""
    _set_paused(context, name, paused=True)
    typer.echo(f"{name}: paused")


@app.command()
def resume(context: typer.Context, name: Name) -> None:
    """Let sends to it go on; one that was down is tried at once."""
    _set_paused(context, name, paused=False)
    typer.echo(f"{name}: resumed")


@app.command()
def echo(context: typer.Context, name: Name) -> None:
    """Ask it whether it is there (C-ECHO), from here and as the exporter would."""
    settings = invocation(context).settings()
    destination = named_destination(settings, name)
    caller = Caller.of(settings, destination)
    try:
        with associate(Peer.of(destination), caller, [VERIFICATION_CONTEXT]) as association:
            status = association.echo()
    except (ScuError, NotAcceptedError) as error:
        fail(f"{name}: {error}")
    if status != 0:
        fail(f"{name}: answered with status {'none' if status is None else f'{status:04X}'}")
    typer.echo(f"{name}: {destination.ae_title} at {destination.host}:{destination.port} answers")


def _set_paused(context: typer.Context, name: str, *, paused: bool) -> None:
    settings = invocation(context).settings()
    named_destination(settings, name)
    tree = StorageTree(settings.storage.root)
    with records(settings) as redis:
        if not tree.jobs.is_dir():
            fail(f"no storage is at {tree.root}", ExitCode.FAILED)
        try:
            Pauses(tree, Gate(redis, leases(settings))).set(name, paused, person())
        except OSError as error:
            fail(f"the storage takes no change: {error.strerror}")
