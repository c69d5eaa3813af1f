"""Removing a job that is past its time: its steps, its record, its delivery, its folder.

In this order, so that a removal that is cut short anywhere is found again and finished: the
folder goes last, and whole.
"""

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import structlog

from shared.job import Job
from shared.job_folder import JobFolder
from shared.job_steps import all_steps
from shared.trash import throw_away
from workers.commitment.asked import forget_transactions
from workers.context import WorkerContext
from workers.dispatching.dispatched import is_dispatched, read_dispatched
from workers.dispatching.groups import Groups
from workers.keeping.retention import job_removal_time

log = structlog.get_logger()


def remove_job(context: WorkerContext, job_id: str) -> bool:
    """False if it has to stay for now: not past its time (any more), or something is at work.

    Raises:
        FileNotFoundError: it is gone, or has no record.
        pydantic.ValidationError: its record is damaged.
        redis.RedisError, OSError: Redis or the storage is away.
    """
    tree, groups = context.tree, Groups(context.tree)
    folder = JobFolder(tree, job_id)
    # In the order of a delivery that joins; a person's retry takes the second too.
    with groups.lock(folder.read()), folder.lock():
        job = folder.read()
        due = job_removal_time(job, context.settings.storage)
        if due is None or due > datetime.now(UTC):
            return False
        if folder.is_at_work() or not _is_dispatched(context, job):
            return False
        deliveries = _deliveries_of_last(context, job)
        steps = [step.id for step in all_steps(job)]
        if not context.hasty_gate.retire([*steps, *(each.name for each in deliveries)]):
            return False
        context.hasty_records.remove(job_id)
        forget_transactions(tree, folder)
        for delivery in deliveries:
            with contextlib.suppress(FileNotFoundError):  # an earlier removal was cut short here
                throw_away(tree, delivery)
        groups.forget(job)
        throw_away(tree, folder.path)
    log.info("job removed", job=job_id, state=job.state)
    return True


def _deliveries_of_last(context: WorkerContext, job: Job) -> list[Path]:
    """The folders of its deliveries of which no other job is left."""
    folders = (context.tree.deliveries / delivery_id for delivery_id in job.deliveries)
    return [each for each in folders if each.exists() and not _has_other_jobs(context, each, job)]


def _has_other_jobs(context: WorkerContext, delivery: Path, job: Job) -> bool:
    others = (each for each in read_dispatched(delivery).jobs if each != job.id)
    return any((context.tree.jobs / other).exists() for other in others)


def _is_dispatched(context: WorkerContext, job: Job) -> bool:
    """A dispatch that was cut short would make the job anew, and then the others."""
    folders = (context.tree.deliveries / delivery_id for delivery_id in job.deliveries)
    return all(is_dispatched(folder) or not folder.exists() for folder in folders)
