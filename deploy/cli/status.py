"""`penstock status`: how the gateway stands."""

import typer

from deploy.cli.common import AsJson, ExitCode, invocation, output
from deploy.cli.jsonable import to_json
from deploy.cli.records import gateway
from deploy.cli.watch import Watch
from deploy.cli.watch import watch as keep_watching
from deploy.screens.address import flower_address
from deploy.screens.status import status_screen


def status(
    context: typer.Context,
    as_json: AsJson = False,
    watch: Watch = False,
) -> None:
    """Show receivers, disk, queues, destinations and jobs; exit code 1 if something is wrong."""
    settings = invocation(context).settings()
    if watch:
        keep_watching(settings, lambda gateway: status_screen(gateway.status()))
        return
    with gateway(settings) as found:
        status = found.status()
    flower = flower_address(settings.flower)
    if as_json:
        typer.echo(to_json(status, faults=status.faults, flower=flower))
    else:
        if flower is not None:
            typer.echo(f"Flower: {flower}\n")
        output().print(status_screen(status))
    if status.faults:
        raise typer.Exit(ExitCode.FAILED)
