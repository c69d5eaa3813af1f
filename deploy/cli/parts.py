"""Parts run alone, any number of them, on any machine: `work` and `flower`."""

from typing import Annotated

import typer

from deploy.cli.common import ExitCode, fail, invocation
from deploy.cli.records import redis_url
from deploy.dashboard.flower import run as run_flower
from shared import log
from shared.registry.step import Queue
from workers.main import run


def work(
    context: typer.Context,
    queues: Annotated[
        str, typer.Option(help="Which steps to run, comma separated: dispatch, pipeline, export")
    ],
    name: Annotated[str, typer.Option(help="Shown in Flower")] = "worker",
) -> None:
    """Run a worker process."""
    settings = invocation(context).settings()
    try:
        chosen = [Queue(queue.strip()) for queue in queues.split(",")]
    except ValueError as error:
        fail(str(error), ExitCode.USAGE)
    if Queue.PIPELINE in chosen and len(chosen) > 1:
        fail("pipelines run for hours: give them a worker of their own", ExitCode.USAGE)
    log.configure(settings.log, name)
    raise typer.Exit(run(settings, redis_url(settings), chosen, name))


def flower(context: typer.Context) -> None:
    """Run Flower, the dashboard."""
    settings = invocation(context).settings()
    log.configure(settings.log, "flower")
    run_flower(settings, redis_url(settings))
