"""The parts run alone: `receive`, `work`, `flower`; any number of them, on any machine."""

from typing import Annotated

import typer

from deploy.cli.common import ExitCode, fail, invocation, redis_url
from deploy.flower import run as run_flower
from shared import log
from shared.registry.gate import Queue


def receive(context: typer.Context) -> None:
    """Run a receiver (the SCP)."""
    from receiver.certificates import CertificateFileError
    from receiver.main import run  # a light start: a receiver loads no worker code

    settings = invocation(context).settings()
    log.configure(settings.log, "receiver")
    try:
        raise typer.Exit(run(settings))
    except CertificateFileError as error:
        fail(str(error), ExitCode.USAGE)


def work(
    context: typer.Context,
    queues: Annotated[
        str, typer.Option(help="Which steps to run, comma separated: dispatch, pipeline, export")
    ],
    name: Annotated[str, typer.Option(help="Shown in Flower")] = "worker",
) -> None:
    """Run a worker process."""
    from workers.main import run

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
