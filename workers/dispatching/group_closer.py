"""Closes each group when its time has come, and so lets its job go on.

Every worker process does it, safe doubled; no step and no place is taken by a job that waits.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from pydantic import ValidationError

from shared.job import Job
from shared.job_folder import JobFolder
from shared.job_state import JobState
from workers.advance import advance
from workers.context import WorkerContext
from workers.dispatching.arrivals import Arrivals, Sender
from workers.dispatching.group_input import UnreadableDeliveryError, gatherer
from workers.dispatching.groups import Gathered, Groups

log = structlog.get_logger()


class GroupCloser:
    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._groups = Groups(context.tree)
        self._arrivals = Arrivals(context.tree)

    def tick(self) -> None:
        """
        Raises:
            redis.RedisError, OSError: Redis or the storage is away; to be called again.
        """
        self.close_due(datetime.now(UTC))

    def close_due(self, now: datetime) -> None:
        """Closes the groups whose time has come by then."""
        waiting = list(self._context.waiting.values())
        due = [job for job in waiting if job.due is not None and job.due <= now]
        if not due:
            return
        arriving = self._arrivals.among({_sender(job) for job in due})
        gather = gatherer(self._context.tree)
        random.shuffle(due)  # so that several processes share the work
        for job in due:
            if job.may_close(now, arriving=_sender(job) in arriving):
                self._close(job, now, gather)

    def _close(self, job: Job, now: datetime, gather: Callable[[Job], Gathered]) -> None:
        try:
            seen = JobFolder(self._context.tree, job.id).read()
            # Asked for each: closing those before it may have taken long.
            waits = seen.state is JobState.WAITING
            arriving = waits and bool(self._arrivals.among({_sender(job)}))
            seen = self._groups.close(job, now, arriving=arriving, gather=gather)
        except (FileNotFoundError, ValidationError):  # gone, or damaged, as the reconciler says
            self._context.waiting.pop(job.id, None)
            return
        except UnreadableDeliveryError as error:
            self._context.waiting.pop(job.id, None)
            self._fail(job, f"delivery {error} of its group is not there any more, or not whole")
            return
        if seen.state is JobState.WAITING:  # more came meanwhile, or is on its way
            self._context.waiting[job.id] = seen
            return
        self._context.waiting.pop(job.id, None)
        if seen.group and seen.group.closed == now:  # by this call
            self._go_on(seen, forced=arriving)

    def _go_on(self, job: Job, *, forced: bool) -> None:
        event = f"complete: {job.instances} instances of {len(job.deliveries)} deliveries"
        if forced:
            event += ", at its longest wait"
        advance(self._context, job, event)
        log.info("group closed", job=job.id, deliveries=len(job.deliveries), forced=forced)

    def _fail(self, job: Job, reason: str) -> None:
        def fail(job: Job) -> Job:
            waits = job.state is JobState.WAITING
            return job.model_copy(update={"failure": reason}) if waits else job

        job = JobFolder(self._context.tree, job.id).update(fail)
        advance(self._context, job, f"failed: {reason}")
        log.error("group not closed", job=job.id, reason=reason)


def _sender(job: Job) -> Sender:
    return Sender(job.ae_title, job.calling_ae_title)
