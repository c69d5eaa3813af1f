"""`penstock jobs retry`, `cancel`, `hold`, `release`: what a person does to a job."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from deploy.cli.common import AsJson, ExitCode, fail, invocation
from deploy.cli.each_job import AnyIds, Ids, Yes, confirm_several, each_job
from deploy.cli.records import records
from shared.acts import JobActs
from shared.export_acts import ExportActs
from shared.job import Job
from shared.registry.failed_jobs import failed_jobs


def attach(app: typer.Typer) -> None:
    """Makes these verbs of `penstock jobs`."""
    for verb in (retry, cancel, hold, release):
        app.command()(verb)


def retry(
    context: typer.Context,
    ids: AnyIds = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that failed, and …")] = False,
    destination: Annotated[
        str | None, typer.Option(help="… whose export to it failed; only that is retried")
    ] = None,
    pipeline: Annotated[str | None, typer.Option(help="… of this pipeline")] = None,
    ae_title: Annotated[str | None, typer.Option(help="… of this AE title")] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let failed jobs resume at the step that failed; what was delivered is not sent again."""
    if failed == bool(ids):
        fail("either IDs or --failed", ExitCode.USAGE)
    if ids and (pipeline is not None or ae_title is not None):
        fail("--pipeline and --ae-title choose among --failed", ExitCode.USAGE)
    settings = invocation(context).settings()
    with records(settings) as redis:
        if failed:
            ids = failed_jobs(redis, destination=destination, pipeline=pipeline, ae_title=ae_title)
            if not yes:
                confirm_several(f"Retry {len(ids)} jobs?", len(ids))
        act = JobActs.of(settings, redis).retry
        if destination is not None:
            act = partial(ExportActs.of(settings, redis).retry, destination=destination)
        each_job(redis, ids or [], act, as_json)


def cancel(context: typer.Context, ids: Ids, as_json: AsJson = False) -> None:
    """End jobs that are not done, whatever they still wait for."""
    _each(context, ids, JobActs.cancel, as_json)


def hold(context: typer.Context, ids: Ids, as_json: AsJson = False) -> None:
    """Let nothing of these jobs go on until they are released."""
    _each(context, ids, JobActs.hold, as_json)


def release(context: typer.Context, ids: Ids, as_json: AsJson = False) -> None:
    """Let held jobs resume where they were."""
    _each(context, ids, JobActs.release, as_json)


def _each(
    context: typer.Context, ids: list[str], act: Callable[[JobActs, str], Job], as_json: bool
) -> None:
    settings = invocation(context).settings()
    with records(settings) as redis:
        each_job(redis, ids, partial(act, JobActs.of(settings, redis)), as_json)
