"""`penstock jobs`: what became of what came in."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import RenderableType

from deploy.cli import job_acts, job_files, job_finish
from deploy.cli.common import AsJson, ExitCode, fail, invocation, output
from deploy.cli.jsonable import to_json
from deploy.cli.moments import parse_moment
from deploy.cli.records import gateway
from deploy.cli.watch import Watch
from deploy.cli.watch import watch as keep_watching
from deploy.screens.jobs_table import jobs_table
from deploy.screens.timeline import timeline
from shared.destination_state import DestinationState
from shared.gateway import Gateway
from shared.job_state import JobState
from shared.registry.job_index import JobFilters
from shared.registry.views import JobView, UnknownJobError
from shared.uid import is_uid

app = typer.Typer(help="What became of what came in.", invoke_without_command=True)
_FILTERS = "Which jobs; all that is said holds together"


def _uid(text: str) -> str:
    if not is_uid(text):
        raise typer.BadParameter(f"{text!r} is no UID")
    return text


@app.callback()
def jobs(
    context: typer.Context,
    state: Annotated[
        JobState | None, typer.Option(help="In this state", rich_help_panel=_FILTERS)
    ] = None,
    ae_title: Annotated[
        str | None, typer.Option(help="Sent to this AE title of ours", rich_help_panel=_FILTERS)
    ] = None,
    calling: Annotated[
        str | None, typer.Option(help="Sent by this AE title", rich_help_panel=_FILTERS)
    ] = None,
    pipeline: Annotated[
        str | None, typer.Option(help="Of this pipeline", rich_help_panel=_FILTERS)
    ] = None,
    destination: Annotated[
        str | None, typer.Option(help="Exported to this destination", rich_help_panel=_FILTERS)
    ] = None,
    destination_state: Annotated[
        DestinationState | None,
        typer.Option(help="With that export in this state", rich_help_panel=_FILTERS),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            metavar="UID",
            parser=_uid,
            help="With instances of this Study Instance UID",
            rich_help_panel=_FILTERS,
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME",
            parser=parse_moment,
            help="Made since then: 2h (ago), 7d, 2026-11-22T10:49",
            rich_help_panel=_FILTERS,
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME",
            parser=parse_moment,
            help="Made before then",
            rich_help_panel=_FILTERS,
        ),
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only what is listed after this job: the next page"),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest")] = 50,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    if context.invoked_subcommand is not None:
        return
    if destination_state is not None and destination is None:
        fail("--destination-state needs --destination", ExitCode.USAGE)
    filters = JobFilters(
        state=state,
        ae_title=ae_title,
        calling_ae_title=calling,
        pipeline=pipeline,
        destination=destination,
        destination_state=destination_state,
        study=study,
        since=since,
        until=until,
    )
    settings = invocation(context).settings()
    if watch:
        if as_json or before:
            fail("--watch goes with neither --json nor --before", ExitCode.USAGE)
        keep_watching(settings, _drawn(filters, limit))
        return
    with gateway(settings) as found:
        place = None if before is None else _job(found, before)
        listed = found.jobs(limit=limit, before=place, **filters)
    if as_json:
        typer.echo(to_json(listed))
    else:
        output().print(jobs_table(listed))


@app.command()
def show(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="A job's id, or its end")],
    as_json: AsJson = False,
) -> None:
    """Show all that is known of one job; exit code 1 if it failed."""
    with gateway(invocation(context).settings()) as found:
        job = _job(found, job_id)
        try:
            report = found.job(job.id)
        except ValidationError:
            fail(f"the record of its delivery {job.delivery} is damaged")
        except OSError as error:
            fail(f"the storage cannot be read: {error.strerror}")
    if as_json:
        typer.echo(to_json(report))
    else:
        output().print(timeline(report))
    if report.job.state is JobState.FAILED:
        raise typer.Exit(ExitCode.FAILED)


job_files.attach(app)
job_acts.attach(app)
job_finish.attach(app)


def _job(gateway: Gateway, id_or_part: str) -> JobView:
    try:
        return gateway.find(id_or_part)
    except UnknownJobError as error:
        fail(str(error))


def _drawn(filters: JobFilters, limit: int) -> Callable[[Gateway], RenderableType]:
    return lambda gateway: jobs_table(gateway.jobs(limit=limit, **filters))
