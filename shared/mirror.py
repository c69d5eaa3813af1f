"""Making Redis hold what the disk says of a job; as often as need be, by whoever needs it."""

from typing import Protocol

from shared.job import Job
from shared.job_state import ASLEEP, MAY_FOLLOW, JobState
from shared.job_steps import all_steps, next_steps
from shared.registry.jobs import DestinationProgress, Entry, JobRecords, waiting_fields
from shared.registry.step import Step

MUST_NOT_RUN = frozenset({JobState.HELD, JobState.CANCELLED})
ENDED = frozenset({"done", "failed"})  # states of a step that stay for a day


class Steps(Protocol):
    """Where steps are handed in and taken back: the gate, or a worker's line to it."""

    def submit(self, step: Step) -> str:
        """The step's state from then on."""

    def withdraw(self, step_id: str) -> bool:
        """True while a run of it has still to stop."""


def mirror(
    records: JobRecords, steps: Steps, job: Job, event: str | Entry = "", who: str = ""
) -> tuple[Step, ...]:
    """Withdraws what must not run, brings the record up, and submits what the job waits for.

    Safe at any time; `event` is a line of the job's history, `who` did it.

    Returns:
        Steps that the gate holds for ended though the job, as it was read, waits for them.

    Raises:
        redis.RedisError: Redis is away; to be called again, by the reconciler if by nobody else.
    """
    state = job.state
    if state in MUST_NOT_RUN:
        for step in all_steps(job):
            steps.withdraw(step.id)
    if not records.create(job, state, event or "found on disk", who):
        for name, end in job.destinations.items():
            records.set_destination(job.id, name, DestinationProgress.ended(end))
        sources = MAY_FOLLOW[state]
        if state is JobState.QUEUED:  # a pipeline under way is the gate's to tell
            sources &= ASLEEP
        fields = {"reason": job.reason, **waiting_fields(job)}
        records.move(job.id, state, event, who=who, sources=sources, **fields)
    return tuple(step for step in next_steps(job) if steps.submit(step) in ENDED)
