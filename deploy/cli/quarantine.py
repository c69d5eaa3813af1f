"""`penstock quarantine`: what could not be dispatched, and what is to become of it."""

from typing import Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from deploy.cli.common import invocation, output
from deploy.cli.set_apart import AsJson, Id, acting, as_json, context_of, instant, print_json, told
from shared import decision
from shared.tree import StorageTree
from workers import quarantine
from workers.quarantine import QuarantinedDelivery, list_quarantine, show_quarantined

app = typer.Typer(
    help="Deliveries that could not be dispatched: list, release or discard them.",
    no_args_is_help=True,
)


@app.command("list")
def list_(context: typer.Context, json: AsJson = False) -> None:
    """List them, oldest first: who sent what, and why it was set apart."""
    settings = invocation(context).settings()
    with acting():
        found = list_quarantine(StorageTree(settings.storage.root), settings)
        if json:
            print_json([_json(each) for each in found])
        else:
            output().print(_table(found))


@app.command()
def show(context: typer.Context, delivery_id: Id, json: AsJson = False) -> None:
    """Show one, and what still keeps it from being released."""
    settings = invocation(context).settings()
    with acting():
        found = show_quarantined(StorageTree(settings.storage.root), settings, delivery_id)
        if json:
            print_json(_json(found))
            return
        output().print(_table([found]))
        typer.echo(
            f"not to be released as it is: {found.objection}"
            if found.objection
            else f"can be released: penstock quarantine release {found.id}"
        )


@app.command()
def release(
    context: typer.Context,
    delivery_id: Id,
    ae_title: Annotated[
        str | None, typer.Option(help="Dispatch it as if it had come for this AE title")
    ] = None,
) -> None:
    """Send it through dispatch again; refused where the reason still stands."""
    with acting():
        settings = invocation(context).settings()
        done = quarantine.release(context_of(settings), delivery_id, ae_title)
        typer.echo(
            f"{done.id} released for {done.ae_title} with {done.instances} instances;"
            f" {told(done.announced)}"
        )


@app.command()
def discard(context: typer.Context, delivery_id: Id) -> None:
    """Remove it with all its files."""
    storage = invocation(context).settings().storage
    tree = StorageTree(storage.root)
    with acting():
        done = decision.discard(tree, tree.quarantine, delivery_id, storage.trash_retention)
        typer.echo(f"{done} discarded")


def _json(found: QuarantinedDelivery) -> dict[str, Any]:
    return as_json(
        found.delivery,
        id=found.id,
        quarantine_reason=found.reason,
        since=found.since,
        objection=found.objection,
        remove_at=found.remove_at,
    )


def _table(found: list[QuarantinedDelivery]) -> Table:
    table = Table(
        Column("delivery", no_wrap=True),
        *("from", "to", "instances", "since", "why", "removed at"),
        box=None,
    )
    for each in found:
        delivery = each.delivery
        known = ("", "", "")
        if delivery:
            known = delivery.calling_ae_title, delivery.ae_title, str(len(delivery.instances))
        table.add_row(
            each.id,
            *map(Text, known),
            instant(each.since, "not known"),
            Text(each.reason),
            instant(each.remove_at, "never by itself"),
        )
    return table
