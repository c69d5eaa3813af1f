"""`penstock associations`: who sent what, who was refused and why."""

from typing import Annotated, Literal

import typer
from rich.text import Text

from deploy.cli.common import AsJson, invocation, output
from deploy.cli.jsonable import to_json
from deploy.cli.records import records
from deploy.screens.listing import Listing
from deploy.screens.tables import number, whole
from deploy.screens.words import moment, plain, size, span
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
        output().print(_listing(found))


def _listing(found: list[EndedAssociation]) -> Listing:
    listing = Listing(
        *map(whole, ("ended", "end", "from", "address", "to", "contexts")),
        *map(number, ("inst.", "size", "took")),
    )
    for ended in found:
        listing.add(
            moment(ended.ended),
            Text(ended.end, style=_STYLES[ended.end]),
            plain(ended.calling),  # a refused title can hold anything
            ended.peer,
            plain(ended.called),
            f"{ended.contexts_accepted} of {ended.contexts_offered}",
            str(ended.instances),
            size(ended.bytes),
            span(ended.seconds),
            remark=plain(ended.reason),
        )
    return listing


_STYLES = {"released": "green", "aborted": "yellow", "refused": "red"}
