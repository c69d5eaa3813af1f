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
from workers.context import WorkerContext
from workers.dispatch import DISPATCHED_FILE
from workers.plan import PLAN_FILE, Plan
from workers.retention import job_removal_time

log = structlog.get_logger()


def remove_job(context: WorkerContext, job_id: str) -> bool:
    """False if it has to stay for now: not past its time (any more), or something is at work.

    Raises:
        FileNotFoundError: it is gone, or has no record.
        pydantic.ValidationError: its record is damaged.
        redis.RedisError, OSError: Redis or the storage is away.
    """
    tree = context.tree
    folder = JobFolder(tree, job_id)
    with folder.lock():  # a person's retry takes it too
        job = folder.read()
        due = job_removal_time(job, context.settings.storage)
        if due is None or due > datetime.now(UTC):
            return False
        if folder.is_at_work() or not _is_dispatched(context, job):
            return False
        delivery = _delivery_of_last(context, job)
        steps = [step.id for step in all_steps(job)]
        if delivery is not None:
            steps.append(delivery.name)
        if not context.hasty_gate.retire(steps):
            return False
        context.hasty_records.remove(job_id)
        if delivery is not None:
            with contextlib.suppress(FileNotFoundError):  # an earlier removal was cut short here
                throw_away(tree, delivery)
        throw_away(tree, folder.path)
    log.info("job removed", job=job_id, state=job.state)
    return True


def _delivery_of_last(context: WorkerContext, job: Job) -> Path | None:
    """The delivery's folder if no other job of it is left."""
    folder = context.tree.deliveries / job.delivery
    try:
        plan = Plan.model_validate_json((folder / PLAN_FILE).read_bytes())
    except FileNotFoundError:
        return None
    others = (each.id for each in plan.jobs if each.id != job.id)
    return None if any((context.tree.jobs / other).exists() for other in others) else folder


def _is_dispatched(context: WorkerContext, job: Job) -> bool:
    """A dispatch that was cut short would make the job anew, and then the others."""
    folder = context.tree.deliveries / job.delivery
    return (folder / DISPATCHED_FILE).exists() or not folder.exists()
