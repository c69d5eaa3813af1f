"""`penstock associations`: who sent what, who was refused and why."""

from typing import Annotated, Literal

import typer
from rich.table import Column, Table
from rich.text import Text

from deploy.cli.common import AsJson, invocation, output
from deploy.cli.jsonable import to_json
from deploy.cli.records import records
from shared.ended_association import EndedAssociation
from shared.registry.associations import list_associations


def associations(
    context: typer.Context,
    calling: Annotated[str | None, typer.Option(help="Only of this calling AE title")] = None,
    called: Annotated[str | None, typer.Option(help="Only of this called AE title")] = None,
    end: Annotated[
        Literal["released", "aborted", "refused"] | None, typer.Option(help="Only with this end")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest")] = 50,
    as_json: AsJson = False,
) -> None:
    """List ended associations, the newest first: who sent what, who was refused and why."""
    with records(invocation(context).settings()) as redis:
        found = list_associations(redis, calling=calling, called=called, end=end, limit=limit)
    if as_json:
        typer.echo(to_json(found))
    else:
        output().print(_table(found))


def _table(found: list[EndedAssociation]) -> Table:
    table = Table(
        Column("ended", no_wrap=True),
        *("from", "address", "to", "contexts", "instances", "MB", "seconds", "end", "why"),
        box=None,
    )
    for ended in found:
        table.add_row(
            f"{ended.ended.astimezone():%Y-%m-%d %H:%M:%S}",
            Text(repr(ended.calling)[1:-1]),  # a refused title can hold anything
            Text(ended.peer),
            Text(repr(ended.called)[1:-1]),
            f"{ended.contexts_accepted} of {ended.contexts_offered}",
            str(ended.instances),
            f"{ended.bytes / 1e6:.1f}",
            f"{ended.seconds:.3f}",
            Text(ended.end, style=_STYLES[ended.end]),
            Text(ended.reason),
        )
    return table


_STYLES = {"released": "green", "aborted": "yellow", "refused": "red"}
