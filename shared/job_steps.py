"""The steps of a job, as the gate knows them, and which of them it waits for."""

from shared.job import Job
from shared.job_state import JobState
from shared.registry.step import Priority, Queue, Step

EXPORT_LANE = "export:"  # before the name of a destination


def pipeline_step(job: Job) -> Step:
    return Step(
        job.id, Queue.PIPELINE, f"pipeline:{job.pipeline}", job.id, Priority.named(job.priority)
    )


def export_step(job: Job, destination: str) -> Step:
    return Step(
        f"{job.id}.{destination}",
        Queue.EXPORT,
        EXPORT_LANE + destination,
        job.id,
        Priority.named(job.priority),
    )


def all_steps(job: Job) -> tuple[Step, ...]:
    """Every step that a job can have, whatever has become of it."""
    return (pipeline_step(job), *(export_step(job, name) for name in job.export_to))


def next_steps(job: Job) -> tuple[Step, ...]:
    """The steps that a job waits for; none when it is finished or held."""
    match job.state:
        case JobState.QUEUED:
            return (pipeline_step(job),)
        case JobState.EXPORTING:
            return tuple(export_step(job, name) for name in job.open_destinations)
        case _:
            return ()
