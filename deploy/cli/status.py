"""`penstock status`: how the gateway stands."""

import json
from typing import Annotated

import typer

from deploy.cli.common import ExitCode, invocation, output
from deploy.cli.records import records
from deploy.status import as_json as plain
from deploy.status import read_status, screen


def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for scripts")] = False,
) -> None:
    """Show receivers and their load, disk, queues and jobs; exit code 1 if something is wrong."""
    with records(invocation(context).settings()) as redis:
        found = read_status(redis)
    if as_json:
        typer.echo(json.dumps(plain(found), indent=1))
    else:
        output().print(screen(found))
    if found.faults:
        raise typer.Exit(ExitCode.FAILED)
