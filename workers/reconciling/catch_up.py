"""A job goes on as its folder has it, whatever Redis, or a worker that died, has lost of it."""

from shared.job import Job
from shared.job_folder import JobFolder
from shared.job_steps import next_steps
from shared.mirror import mirror
from workers.advance import watch
from workers.attempts.callback import keep_handed_over
from workers.context import WorkerContext


def catch_up(context: WorkerContext, folder: JobFolder) -> Job:
    """Advances a job as its folder has it; no step that it waits for stays ended at the gate.

    One that was withdrawn, or that did nothing because the job was held, may be wanted again by
    the time that its run is over.

    Raises:
        FileNotFoundError: there is no such job, or not yet.
        pydantic.ValidationError: its `state.json` is damaged.
        redis.RedisError: Redis is away.
    """
    job = keep_handed_over(context, folder, folder.read())
    if ended := mirror(context.records, context.line, job, who=context.who):
        job = folder.read()  # again: what ended meanwhile has said so on disk before
        for step in set(ended) & set(next_steps(job)):
            context.line.withdraw(step.id)
            context.line.submit(step)
    watch(context, job)
    return job
