"""`penstock quarantine`: what could not be dispatched, and what is to become of it."""

from typing import Annotated, Any

import typer

from deploy.cli.common import AsJson, invocation, output
from deploy.cli.jsonable import to_json
from deploy.cli.set_apart import Id, acting, attach_discard, context_of, described, removal, told
from deploy.screens.listing import Listing
from deploy.screens.tables import number, whole
from deploy.screens.words import moment, plain
from shared.tree import StorageTree
from workers.keeping import quarantine
from workers.keeping.quarantine import QuarantinedDelivery, list_quarantine, show_quarantined

app = typer.Typer(
    help="Deliveries that could not be dispatched: list, release or discard them.",
    no_args_is_help=True,
)


@app.command("list")
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List them, oldest first: who sent what, and why it was set apart."""
    settings = invocation(context).settings()
    with acting():
        found = list_quarantine(StorageTree(settings.storage.root), settings)
        if as_json:
            typer.echo(to_json([_described(each) for each in found]))
        else:
            output().print(_listing(found))


@app.command()
def show(context: typer.Context, delivery_id: Id, as_json: AsJson = False) -> None:
    """Show one, and what still keeps it from being released."""
    settings = invocation(context).settings()
    with acting():
        found = show_quarantined(StorageTree(settings.storage.root), settings, delivery_id)
        if as_json:
            typer.echo(to_json(_described(found)))
            return
        output().print(_listing([found]))
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


attach_discard(app, lambda tree: tree.quarantine)


def _described(found: QuarantinedDelivery) -> dict[str, Any]:
    return described(
        found.delivery,
        id=found.id,
        quarantine_reason=found.reason,
        since=found.since,
        objection=found.objection,
        remove_at=found.remove_at,
    )


def _listing(found: list[QuarantinedDelivery]) -> Listing:
    listing = Listing(*map(whole, ("delivery", "since", "from", "to")), number("inst."))
    for each in found:
        delivery = each.delivery
        listing.add(
            each.id,
            moment(each.since) if each.since else "not known",
            plain(delivery.calling_ae_title) if delivery else "",
            plain(delivery.ae_title) if delivery else "",
            str(len(delivery.instances)) if delivery else "",
            remark=f"{plain(each.reason)}; {removal(each.remove_at)}",
        )
    return listing
