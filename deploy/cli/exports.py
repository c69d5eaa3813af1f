"""`penstock exports`: what was not delivered where, why, and what is to become of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated

import typer

from deploy.cli.common import AsJson, ExitCode, fail, invocation, output
from deploy.cli.each_job import AnyIds, Yes, confirm_several, each_job
from deploy.cli.jsonable import to_json
from deploy.cli.moments import parse_moment
from deploy.cli.named_destination import named_destination
from deploy.cli.records import gateway, records
from deploy.screens.exports_table import exports_table
from shared.destination_state import DestinationState
from shared.export_acts import ExportActs
from shared.job import Job
from shared.registry.failed_jobs import failed_jobs
from shared.registry.views import UnknownJobError
from shared.settings import Settings

app = typer.Typer(
    help="What was not delivered where; retry, discard or redirect it.", invoke_without_command=True
)

_ONLY = "Only the export to this one [default: all that failed]"
To = Annotated[str | None, typer.Option("--destination", "--to", help=_ONLY)]
From = Annotated[str | None, typer.Option("--destination", "--from", help=_ONLY)]
All = Annotated[bool, typer.Option("--all", help="Of each job whose export to it failed")]


@app.callback()
def exports(
    context: typer.Context,
    destination: Annotated[str | None, typer.Option(help="To this one")] = None,
    state: Annotated[
        list[DestinationState] | None,
        typer.Option(help="In this state; may be repeated [default: failed]"),
    ] = None,
    any_state: Annotated[bool, typer.Option("--any", help="In any state")] = False,
    since: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME",
            parser=parse_moment,
            help="Of jobs made since then: 2h (ago), 7d, 2026-11-22T10:49",
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(metavar="TIME", parser=parse_moment, help="Of jobs made before then"),
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only what is listed after this job: the next page"),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Of at most so many jobs, the newest")] = 50,
    as_json: AsJson = False,
) -> None:
    """List exports, those of the newest jobs first; unless told otherwise, those that failed."""
    if context.invoked_subcommand is not None:
        return
    if any_state and state:
        fail("either --state or --any", ExitCode.USAGE)
    with gateway(invocation(context).settings()) as found:
        try:
            place = None if before is None else found.find(before)
        except UnknownJobError as error:
            fail(str(error))
        listed = found.exports(
            destination=destination,
            states=() if any_state else tuple(state or (DestinationState.FAILED,)),
            since=since,
            until=until,
            before=place,
            limit=limit,
        )
    if as_json:
        typer.echo(to_json(listed))
    else:
        output().print(exports_table(listed))


@app.command()
def retry(
    context: typer.Context,
    ids: AnyIds = None,
    destination: To = None,
    everything: All = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Send what has failed again; what was delivered is not sent again."""
    settings = invocation(context).settings()
    meant = _Meant(ids or [], destination, everything, ask=not yes)
    _each(settings, meant, "Retry", lambda acts, job: acts.retry(job, destination), as_json)


@app.command()
def discard(
    context: typer.Context,
    ids: AnyIds = None,
    destination: To = None,
    everything: All = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Send it there no more; a job with no other failure is done."""
    settings = invocation(context).settings()
    meant = _Meant(ids or [], destination, everything, ask=not yes)
    _each(settings, meant, "Discard", lambda acts, job: acts.discard(job, destination), as_json)


@app.command()
def redirect(
    context: typer.Context,
    to: Annotated[str, typer.Option("--to", help="Where it goes instead")],
    ids: AnyIds = None,
    destination: From = None,
    everything: All = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Send the whole result to another destination instead."""
    settings = invocation(context).settings()
    named_destination(settings, to)
    meant = _Meant(ids or [], destination, everything, ask=not yes)
    _each(
        settings, meant, "Redirect", lambda acts, job: acts.redirect(job, to, destination), as_json
    )


@dataclass(frozen=True, slots=True)
class _Meant:
    """Whose exports: of these jobs, or of each whose export to the destination failed."""

    ids: list[str]
    destination: str | None
    everything: bool
    ask: bool  # before several

    def __post_init__(self) -> None:
        if self.everything == bool(self.ids):
            fail("either IDs or --all", ExitCode.USAGE)
        if self.everything and self.destination is None:
            fail("--all needs --destination", ExitCode.USAGE)


def _each(
    settings: Settings,
    meant: _Meant,
    verb: str,
    act: Callable[[ExportActs, str], Job],
    as_json: bool,
) -> None:
    with records(settings) as redis:
        jobs = meant.ids
        if meant.everything:
            jobs = failed_jobs(redis, destination=meant.destination)
            if meant.ask:
                question = f"{verb} {len(jobs)} exports to {meant.destination}?"
                confirm_several(question, len(jobs))
        each_job(redis, jobs, partial(act, ExportActs.of(settings, redis)), as_json)
