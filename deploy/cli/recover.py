"""`penstock recover`: the records in Redis, made anew from the disk."""

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from deploy.cli.common import ExitCode, fail, invocation
from deploy.cli.records import records, redis_url
from workers.context import WorkerContext, connected
from workers.reconciling.recover import Recovered, StorageAwayError
from workers.reconciling.recover import recover as recover_records


def recover(context: typer.Context) -> None:
    """Rebuild the records in Redis from the disk, after Redis was lost or is an old backup."""
    settings = invocation(context).settings()
    with records(settings) as redis:
        redis.ping()
        try:
            found = _with_progress(connected(settings, redis_url(settings), "recover"))
        except StorageAwayError as error:
            fail(f"there is no storage in {error}; nothing was changed")
        except OSError as error:
            fail(f"the storage failed: {error.strerror}; to be run again")
    _say(found)
    if found.damaged:
        raise typer.Exit(ExitCode.FAILED)


def _with_progress(context: WorkerContext) -> Recovered:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=Console(stderr=True)) as shown:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total)
            shown.update(tasks[what], completed=done, total=total)

        return recover_records(context, tell)


def _say(found: Recovered) -> None:
    typer.echo(
        f"{found.jobs} jobs on disk: {found.made} had no record, {found.corrected} had another"
        f" state on record\n"
        f"{found.removed} records of jobs that are gone removed,"
        f" {found.forgotten} steps of what is gone forgotten\n"
        f"{found.deliveries} deliveries wait for their dispatch"
    )
    for folder in found.damaged:
        typer.echo(f"{folder}: its record cannot be read")
