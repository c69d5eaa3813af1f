"""`penstock destinations`: how each stands, and whether anything is to be sent to it."""

from typing import Annotated

import typer

from deploy.cli.common import AsJson, ExitCode, fail, invocation, output
from deploy.cli.dicom import echo, named_destination
from deploy.cli.jsonable import to_json
from deploy.cli.records import gateway, records
from deploy.screens.destinations_table import destinations_table
from shared.announce import leases
from shared.pauses import Pauses
from shared.person import person
from shared.registry.gate import Gate
from shared.tree import StorageTree

app = typer.Typer(
    help="How the destinations stand; pause or resume sending to one.", invoke_without_command=True
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="A destination of the settings")]
app.command("echo")(echo)


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
