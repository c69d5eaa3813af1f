"""`penstock aborted`: what was never released, and what is to become of it."""

from typing import Any

import typer
from rich.table import Column, Table
from rich.text import Text

from deploy.cli.common import AsJson, invocation, output
from deploy.cli.jsonable import to_json
from deploy.cli.set_apart import Id, acting, attach_discard, context_of, described, instant, told
from deploy.cli.set_apart import size as size_of
from shared.delivery import Instance
from shared.tree import StorageTree
from workers import aborted
from workers.aborted import AbortedDelivery, list_aborted, show_aborted
from workers.recommit import not_whole

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
            output().print(_table(found))


@app.command()
def show(context: typer.Context, delivery_id: Id, as_json: AsJson = False) -> None:
    """Show one with its files, and which of them are whole."""
    settings = invocation(context).settings()
    tree = StorageTree(settings.storage.root)
    with acting():
        found = show_aborted(tree, settings.storage, delivery_id)
        torn = not_whole(tree.aborted / found.id, found.delivery) if found.delivery else []
        if as_json:
            typer.echo(to_json(_described(found), files=_files(found), not_whole=torn))
            return
        output().print(_table([found]))
        for file in _files(found):
            typer.echo(f"  {file.file}  {file.size} bytes")
        for name in torn:
            typer.echo(f"  {name}  not whole")


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


def _files(found: AbortedDelivery) -> tuple[Instance, ...]:
    return found.delivery.instances if found.delivery else ()


def _table(found: list[AbortedDelivery]) -> Table:
    table = Table(
        Column("delivery", no_wrap=True),
        *("from", "address", "to", "instances", "MB", "ended", "why", "removed at"),
        box=None,
    )
    for each in found:
        delivery, remove_at = each.delivery, instant(each.remove_at, "never by itself")
        if delivery is None:
            table.add_row(each.id, *[""] * 6, Text("its record cannot be read"), remove_at)
            continue
        table.add_row(
            each.id,
            Text(delivery.calling_ae_title),
            Text(delivery.peer_address),
            Text(delivery.ae_title),
            str(len(delivery.instances)),
            f"{size_of(delivery) / 1e6:.1f}",
            instant(delivery.ended, ""),
            Text(f"{delivery.end}: {delivery.reason}"),
            remove_at,
        )
    return table
