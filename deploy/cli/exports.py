"""`penstock exports`: what was not delivered where, why, and what is to become of it."""

from datetime import datetime
from typing import Annotated

import typer
from redis import Redis

from deploy.cli.common import AsJson, ExitCode, fail, invocation, output
from deploy.cli.each_job import confirm_several, each_job
from deploy.cli.jsonable import to_json
from deploy.cli.moments import parse_moment
from deploy.cli.named_destination import named_destination
from deploy.cli.records import gateway, records
from deploy.screens.exports_table import exports_table
from shared.export_acts import ExportActs
from shared.job import DestinationState
from shared.registry.failed_jobs import failed_jobs
from shared.registry.views import UnknownJobError

app = typer.Typer(
    help="What was not delivered where; retry, discard or redirect it.", invoke_without_command=True
)

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID...]", help="Jobs' ids, or their ends")
]
To = Annotated[
    str | None,
    typer.Option(
        "--destination", "--to", help="Only the export to this one [default: all that failed]"
    ),
]
All = Annotated[bool, typer.Option("--all", help="Of each job whose export to it failed")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before several")]


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
    ids: Ids = None,
    destination: To = None,
    everything: All = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Send what has failed again; what was delivered is not sent again."""
    settings = invocation(context).settings()
    with records(settings) as redis:
        acts = ExportActs.of(settings, redis)
        jobs = _meant(redis, "Retry", ids, destination, everything=everything, yes=yes)
        each_job(redis, jobs, lambda job: acts.retry(job, destination), as_json)


@app.command()
def discard(
    context: typer.Context,
    ids: Ids = None,
    destination: To = None,
    everything: All = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Send it there no more; a job with no other failure is done."""
    settings = invocation(context).settings()
    with records(settings) as redis:
        acts = ExportActs.of(settings, redis)
        jobs = _meant(redis, "Discard", ids, destination, everything=everything, yes=yes)
        each_job(redis, jobs, lambda job: acts.discard(job, destination), as_json)


@app.command()
def redirect(
    context: typer.Context,
    to: Annotated[str, typer.Option("--to", help="Where it goes instead")],
    ids: Ids = None,
    destination: Annotated[
        str | None,
        typer.Option(
            "--destination", "--from", help="Only the export to this one [default: all that failed]"
        ),
    ] = None,
    everything: All = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Send the whole result to another destination instead."""
    settings = invocation(context).settings()
    named_destination(settings, to)
    with records(settings) as redis:
        acts = ExportActs.of(settings, redis)
        jobs = _meant(redis, "Redirect", ids, destination, everything=everything, yes=yes)
        each_job(redis, jobs, lambda job: acts.redirect(job, to, destination), as_json)


def _meant(
    redis: Redis,
    what: str,
    ids: list[str] | None,
    destination: str | None,
    *,
    everything: bool,
    yes: bool,
) -> list[str]:
    if everything == bool(ids):
        fail("either IDs or --all", ExitCode.USAGE)
    if not everything:
        return ids or []
    if destination is None:
        fail("--all needs --destination", ExitCode.USAGE)
    jobs = failed_jobs(redis, destination=destination)
    if not yes:
        confirm_several(f"{what} {len(jobs)} exports to {destination}?", len(jobs))
    return jobs
