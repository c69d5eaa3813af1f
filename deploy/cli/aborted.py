"""`penstock aborted`: what was never released, and what is to become of it."""

from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.common import AsJson, invocation, output
from deploy.cli.jsonable import to_json
from deploy.cli.set_apart import Id, acting, attach_discard, context_of, described, removal, told
from deploy.screens.listing import Listing
from deploy.screens.tables import number, table, text, whole
from deploy.screens.words import moment, plain, size
from shared.tree import StorageTree
from workers.keeping import aborted
from workers.keeping.aborted import AbortedDelivery, list_aborted, show_aborted
from workers.keeping.recommit import not_whole

app = typer.Typer(
    help="Deliveries that were never released: list, commit or discard them.",
    no_args_is_help=True,
)


@app.command("list")
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List them, oldest first: who sent what, why it ended, and when it will be removed."""
    settings = invocation(context).settings()
    with acting():
        found = list_aborted(StorageTree(settings.storage.root), settings.storage)
        if as_json:
            typer.echo(to_json([_described(each) for each in found]))
        else:
            output().print(_listing(found))


@app.command()
def show(context: typer.Context, delivery_id: Id, as_json: AsJson = False) -> None:
    """Show one with its files, and which of them are whole."""
    settings = invocation(context).settings()
    tree = StorageTree(settings.storage.root)
    with acting():
        found = show_aborted(tree, settings.storage, delivery_id)
        torn = not_whole(tree.aborted / found.id, found.delivery) if found.delivery else []
        if as_json:
            files = found.delivery.instances if found.delivery else ()
            typer.echo(to_json(_described(found), files=files, not_whole=torn))
        else:
            output().print(_listing([found]), Text(), _files(found, torn))


@app.command()
def commit(context: typer.Context, delivery_id: Id) -> None:
    """Make it a delivery like any other, marked incomplete: it goes to its pipelines."""
    with acting():
        done = aborted.commit(context_of(invocation(context).settings()), delivery_id)
        left_out = f", {done.left_out} files that are not whole left out" if done.left_out else ""
        typer.echo(
            f"{done.id} committed as incomplete with {done.instances} instances{left_out};"
            f" {told(done.announced)}"
        )


attach_discard(app, lambda tree: tree.aborted)


def _described(found: AbortedDelivery) -> dict[str, Any]:
    return described(found.delivery, id=found.id, remove_at=found.remove_at)


def _listing(found: list[AbortedDelivery]) -> Listing:
    listing = Listing(
        *map(whole, ("delivery", "ended", "from", "to")), *map(number, ("inst.", "size"))
    )
    for each in found:
        delivery = each.delivery
        if delivery is None:
            remark = f"its record cannot be read; {removal(each.remove_at)}"
            listing.add(each.id, *[""] * 5, remark=remark)
            continue
        why = f"from {delivery.peer_address}, {delivery.end}: {plain(delivery.reason)}"
        listing.add(
            each.id,
            moment(delivery.ended),
            plain(delivery.calling_ae_title),
            delivery.ae_title,
            str(len(delivery.instances)),
            size(delivery.size),
            remark=f"{why}; {removal(each.remove_at)}",
        )
    return listing


def _files(found: AbortedDelivery, torn: list[str]) -> Table:
    files = table(text("file"), number("size"))
    for instance in found.delivery.instances if found.delivery else ():
        files.add_row(instance.file, size(instance.size))
    for name in torn:
        files.add_row(Text(plain(name)), "not whole")
    return files
