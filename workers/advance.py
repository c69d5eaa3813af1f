"""What a job needs next, decided by its folder; said to Redis as often as need be."""

from shared.job import Job, JobState
from shared.registry.gate import Priority, Queue, Step
from shared.registry.jobs import DestinationProgress
from workers.context import WorkerContext


def pipeline_step(job: Job) -> Step:
    return Step(
        job.id, Queue.PIPELINE, f"pipeline:{job.pipeline}", job.id, Priority.named(job.priority)
    )


def export_step(job: Job, destination: str) -> Step:
    return Step(
        f"{job.id}.{destination}",
        Queue.EXPORT,
        f"export:{destination}",
        job.id,
        Priority.named(job.priority),
    )


def next_steps(job: Job) -> tuple[Step, ...]:
    """The steps that a job waits for; none when it is finished."""
    match job.state:
        case JobState.QUEUED:
            return (pipeline_step(job),)
        case JobState.EXPORTING:
            return tuple(export_step(job, name) for name in job.open_destinations)
        case _:
            return ()


def advance(context: WorkerContext, job: Job, event: str = "") -> None:
    """Makes Redis hold what the disk says of a job: its record, its state, its next steps.

    Safe at any time and as often as wanted; `event` is a line of the job's history.

    Raises:
        redis.RedisError: Redis is away; to be called again, by the reconciler if by nobody else.
    """
    state = job.state
    known = not context.records.create(job, state, event or "found on disk")
    if known and state is not JobState.QUEUED:  # a pipeline under way is the gate's to tell
        for name, end in job.destinations.items():
            context.records.set_destination(job.id, name, DestinationProgress.ended(end))
        context.records.move(job.id, state, event, reason=job.reason)
    for step in next_steps(job):
        context.line.submit(step)
