"""`penstock jobs retry`, `cancel`, `hold`, `release`: what a person does to a job."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer
from redis import Redis

from deploy.cli.common import AsJson, ExitCode, fail, invocation
from deploy.cli.jsonable import to_json
from deploy.cli.records import records
from shared.acts import ActError, JobActs
from shared.ids import is_id
from shared.job import Job
from shared.registry.failed_jobs import failed_jobs
from shared.registry.views import UnknownJobError, find_job

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Jobs' ids, or their ends")]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one job that was meant."""

    job: str
    done: bool
    said: str  # the job's state now, or why it was not done


def attach(app: typer.Typer) -> None:
    """Makes these verbs of `penstock jobs`."""
    for verb in (retry, cancel, hold, release):
        app.command()(verb)


def retry(
    context: typer.Context,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID...]", help="Jobs' ids, or their ends")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that failed, and …")] = False,
    destination: Annotated[
        str | None, typer.Option(help="… whose export to it failed; only that is retried")
    ] = None,
    pipeline: Annotated[str | None, typer.Option(help="… of this pipeline")] = None,
    ae_title: Annotated[str | None, typer.Option(help="… of this AE title")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before several")] = False,
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
            if len(ids) > 1 and not yes and at_a_terminal():
                typer.confirm(f"Retry {len(ids)} jobs?", abort=True, err=True)
        acts = JobActs.of(settings, redis)
        _each(redis, ids or [], lambda job_id: acts.retry(job_id, destination), as_json)


def cancel(context: typer.Context, ids: Ids, as_json: AsJson = False) -> None:
    """End jobs that are not done, whatever they still wait for."""
    settings = invocation(context).settings()
    with records(settings) as redis:
        _each(redis, ids, JobActs.of(settings, redis).cancel, as_json)


def hold(context: typer.Context, ids: Ids, as_json: AsJson = False) -> None:
    """Let nothing of these jobs go on until they are released."""
    settings = invocation(context).settings()
    with records(settings) as redis:
        _each(redis, ids, JobActs.of(settings, redis).hold, as_json)


def release(context: typer.Context, ids: Ids, as_json: AsJson = False) -> None:
    """Let held jobs resume where they were."""
    settings = invocation(context).settings()
    with records(settings) as redis:
        _each(redis, ids, JobActs.of(settings, redis).release, as_json)


def at_a_terminal() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty()


def _each(redis: Redis, ids: list[str], act: Callable[[str], Job], as_json: bool) -> None:
    """Answers for each job as it is done; the exit code says whether all were."""
    redis.ping()  # before anything is done
    answers = []
    for given in dict.fromkeys(ids):
        answers.append(_one(redis, given, act))
        if not as_json:
            typer.echo(f"{answers[-1].job}: {answers[-1].said}", err=not answers[-1].done)
    if as_json:
        typer.echo(to_json(answers))
    elif not answers:
        typer.echo("no job is meant by that")
    if not all(answer.done for answer in answers):
        raise typer.Exit(ExitCode.FAILED)


def _one(redis: Redis, given: str, act: Callable[[str], Job]) -> Answer:
    try:
        # A whole id needs no record: Redis may have been emptied.
        job_id = given if is_id(given) else find_job(redis, given).id
    except UnknownJobError as error:
        return Answer(given, False, str(error))
    try:
        return Answer(job_id, True, act(job_id).state)
    except ActError as error:
        return Answer(job_id, False, f"not done: {error}")
