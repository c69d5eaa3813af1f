"""`penstock jobs`: what became of what came in."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from deploy.cli import job_acts
from deploy.cli.common import ExitCode, fail, invocation, output
from deploy.cli.records import records
from deploy.timeline import timeline
from shared.job import JobState
from shared.registry.views import JobView, UnknownJobError, find_job, history, list_jobs

app = typer.Typer(help="What became of what came in.", invoke_without_command=True)
job_acts.attach(app)

AsJson = Annotated[bool, typer.Option("--json", help="JSON for scripts")]


@app.callback()
def jobs(
    context: typer.Context,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state")] = None,
    ae_title: Annotated[str | None, typer.Option(help="Only jobs of this AE title")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest")] = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    if context.invoked_subcommand is not None:
        return
    with records(invocation(context).settings()) as redis:
        found = list_jobs(redis, state=state, ae_title=ae_title, limit=limit)
    if as_json:
        typer.echo(_json([asdict(job) for job in found]))
    else:
        output().print(_table(found))


@app.command()
def show(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="A job's id, or its end")],
    as_json: AsJson = False,
) -> None:
    """Show one job: what happened when, and how each destination stands."""
    with records(invocation(context).settings()) as redis:
        try:
            job = find_job(redis, job_id)
        except UnknownJobError as error:
            fail(str(error))
        lines = history(redis, job.id)
    if as_json:
        typer.echo(_json({**asdict(job), "history": [asdict(line) for line in lines]}))
    else:
        output().print(timeline(job, lines))
    if job.state is JobState.FAILED:
        raise typer.Exit(ExitCode.FAILED)


def _table(found: list[JobView]) -> Table:
    job_id = Column("job", no_wrap=True)
    table = Table(job_id, "state", "from", "to", "pipeline", "instances", "created", box=None)
    for job in found:
        table.add_row(
            job.id,
            Text(job.state, style=_STATE_STYLES.get(job.state, "")),
            Text(job.calling_ae_title),
            Text(job.ae_title),
            Text(job.pipeline),
            str(job.instances),
            f"{job.created.astimezone():%Y-%m-%d %H:%M:%S}",
        )
    return table


_STATE_STYLES = {
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.RUNNING: "yellow",
    JobState.EXPORTING: "yellow",
}


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
