"""A job goes on: Redis is told what its folder says, after each step."""

from shared.job import Job
from shared.job_state import JobState
from shared.mirror import mirror
from shared.registry.jobs import Entry
from workers.context import WorkerContext


def advance(context: WorkerContext, job: Job, event: str | Entry = "") -> None:
    """See `mirror`; the line of history is this worker's."""
    mirror(context.records, context.line, job, event, context.who)
    watch(context, job)


def watch(context: WorkerContext, job: Job) -> None:
    if job.state is JobState.WAITING:  # else it is left to the closer to see
        context.waiting[job.id] = job
