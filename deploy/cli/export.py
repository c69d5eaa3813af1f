"""`penstock export`: a job's result to a destination, by the workers and before one's eyes."""

import time
from typing import Annotated

import typer
from redis import Redis

from deploy.cli.common import fail, invocation
from deploy.cli.dicom import named_destination
from deploy.cli.progress import progress_bar
from deploy.cli.records import records
from shared.acts import ActError, JobActs
from shared.ids import is_id
from shared.job import DestinationState
from shared.registry.jobs import DestinationProgress
from shared.registry.views import UnknownJobError, find_job

_PERIOD = 0.2  # seconds
_DELIVERED = (DestinationState.DELIVERED, DestinationState.DELIVERED_WITH_WARNINGS)


def export(
    context: typer.Context,
    job: Annotated[str, typer.Argument(metavar="ID", help="A job's id, or its end")],
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="A destination of the settings")],
    wait: Annotated[bool, typer.Option(help="Until it is there")] = True,
) -> None:
    """Send a job's result to a destination: a further one, or all of it once more."""
    settings = invocation(context).settings()
    named_destination(settings, to)
    with records(settings) as redis:
        try:
            # A whole id needs no record: Redis may have been emptied.
            job_id = job if is_id(job) else find_job(redis, job).id
            JobActs.of(settings, redis).export(job_id, to)
            if not wait:
                typer.echo(f"{job_id}: to be exported to {to}")
                return
            end = _followed(redis, job_id, to)
        except UnknownJobError as error:
            fail(str(error))
        except ActError as error:
            fail(f"{job}: not done: {error}")
    if end.state not in _DELIVERED:
        fail(f"{to}: {end.reason}")
    typer.echo(f"{to}: {end.delivered} instances {end.state}")


def _followed(redis: Redis, job_id: str, to: str) -> DestinationProgress:
    """How it ended; until then the bar says how it stands. Ctrl-C leaves it to the workers."""
    with progress_bar() as bar:
        task = bar.add_task(to, total=None)
        while True:
            now = find_job(redis, job_id).destinations[to]
            if now.state is DestinationState.FAILED or now.state in _DELIVERED:
                return now
            bar.update(
                task,
                description=" ".join(filter(None, (f"{to}: {now.state}", now.reason))),
                total=now.total or None,
                completed=now.delivered + now.failed,
            )
            time.sleep(_PERIOD)
