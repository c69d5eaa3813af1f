"""`penstock export`: a job's result to a destination, by the workers and before one's eyes."""

import time
from typing import Annotated

import typer
from redis import Redis

from deploy.cli.common import fail, invocation
from deploy.cli.each_job import whole_id
from deploy.cli.named_destination import named_destination
from deploy.cli.progress import progress_bar
from deploy.cli.records import records
from shared.acts import ActError
from shared.destination_state import ENDS, SUCCESSES
from shared.export_acts import ExportActs
from shared.mirror import MUST_NOT_RUN
from shared.registry.views import JobView, UnknownJobError, find_job

_PERIOD = 0.2  # seconds


def export(
    context: typer.Context,
    job: Annotated[str, typer.Argument(metavar="ID", help="A job's id, or its end")],
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="A destination of the settings")],
    wait: Annotated[bool, typer.Option(help="Until it has ended")] = True,
) -> None:
    """Send a job's result to a destination: a further one, or all of it once more."""
    settings = invocation(context).settings()
    named_destination(settings, to)
    with records(settings) as redis:
        try:
            job_id = whole_id(redis, job)
            ExportActs.of(settings, redis).export(job_id, to)
            if not wait:
                typer.echo(f"{job_id}: to be exported to {to}")
                return
            followed = _followed(redis, job_id, to)
        except UnknownJobError as error:
            fail(str(error))
        except ActError as error:
            fail(f"{job}: not done: {error}")
    end = followed.destinations[to]
    if end.state in SUCCESSES:
        typer.echo(f"{to}: {end.delivered} instances {end.state}")
    elif end.state in ENDS:
        fail(f"{to}: {end.reason}")
    else:
        fail(f"{to}: the job is {followed.state}")


def _followed(redis: Redis, job_id: str, to: str) -> JobView:
    """The job once this export has ended, or a person has stopped the job before.

    Until then the bar says how it stands. Ctrl-C leaves it to the workers.
    """
    with progress_bar() as bar:
        task = bar.add_task(to, total=None)
        while True:
            job = find_job(redis, job_id)
            now = job.destinations[to]
            if now.state in ENDS or job.state in MUST_NOT_RUN:
                return job
            bar.update(
                task,
                description=" ".join(filter(None, (f"{to}: {now.state}", now.reason))),
                total=now.total or None,
                completed=now.delivered + now.failed,
            )
            time.sleep(_PERIOD)
