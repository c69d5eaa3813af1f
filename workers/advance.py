"""A job goes on: Redis is told what its folder says, after each step and by the reconciler."""

from shared.job import Job, JobState
from shared.job_folder import JobFolder
from shared.job_steps import next_steps
from shared.mirror import mirror
from shared.registry.jobs import Entry
from workers.context import WorkerContext


def advance(context: WorkerContext, job: Job, event: str | Entry = "") -> None:
    """See `mirror`; the line of history is this worker's."""
    mirror(context.records, context.line, job, event, context.who)
    _watch(context, job)


def catch_up(context: WorkerContext, folder: JobFolder) -> Job:
    """Advances a job as its folder has it; no step that it waits for stays ended at the gate.

    One that was withdrawn, or that did nothing because the job was held, may be wanted again by
    the time that its run is over.

    Raises:
        FileNotFoundError: there is no such job, or not yet.
        pydantic.ValidationError: its `state.json` is damaged.
        redis.RedisError: Redis is away.
    """
    job = folder.read()
    if ended := mirror(context.records, context.line, job, who=context.who):
        job = folder.read()  # again: what ended meanwhile has said so on disk before
        for step in set(ended) & set(next_steps(job)):
            context.line.withdraw(step.id)
            context.line.submit(step)
    _watch(context, job)
    return job


def _watch(context: WorkerContext, job: Job) -> None:
    if job.state is JobState.WAITING:  # else it is left to the closer to see
        context.waiting[job.id] = job
