"""Doing something to each of several jobs, and saying what became of each."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer
from redis import Redis

from deploy.cli.common import ExitCode
from deploy.cli.jsonable import to_json
from shared.acts import ActError
from shared.ids import is_id
from shared.job import Job
from shared.registry.views import UnknownJobError, find_job

_IDS = "Jobs' ids, or their ends"
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help=_IDS)]
AnyIds = Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help=_IDS)]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before several")]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one job that was meant."""

    job: str
    done: bool
    said: str  # the job's state now, or why it was not done


def confirm_several(question: str, count: int) -> None:
    """Asks before more than one, where somebody is there to be asked; a no ends the program."""
    if count > 1 and at_a_terminal():
        typer.confirm(question, abort=True, err=True)


def at_a_terminal() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty()


def each_job(redis: Redis, ids: list[str], act: Callable[[str], Job], as_json: bool) -> None:
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
        job_id = whole_id(redis, given)
    except UnknownJobError as error:
        return Answer(given, False, str(error))
    try:
        return Answer(job_id, True, act(job_id).state)
    except ActError as error:
        return Answer(job_id, False, f"not done: {error}")


def whole_id(redis: Redis, given: str) -> str:
    """Of the job that is meant; a whole id needs no record: Redis may have been emptied.

    Raises:
        UnknownJobError: none is meant, or several may be.
    """
    return given if is_id(given) else find_job(redis, given).id
