"""The states that a job can be in, and what may follow on what."""

from enum import StrEnum


class JobState(StrEnum):
    WAITING = "waiting"  # its group is not complete yet
    QUEUED = "queued"  # the pipeline may run when it has a place
    RUNNING = "running"  # the pipeline runs
    EXPORTING = "exporting"  # results go to the destinations
    DONE = "done"
    HELD = "held"  # by a person
    FAILED = "failed"
    CANCELLED = "cancelled"


# From which states a job may come into a state; a step that is tried again stays where it is.
# A run may end well or badly before it learns that its job is held, and says when it has stopped.
# FAILED before HELD or CANCELLED: of the retry between them the record was not told; before DONE:
# a person has discarded what had failed.
MAY_FOLLOW: dict[JobState, frozenset[JobState]] = {
    JobState.WAITING: frozenset({JobState.WAITING, JobState.HELD, JobState.FAILED}),
    JobState.QUEUED: frozenset(
        {JobState.WAITING, JobState.HELD, JobState.QUEUED, JobState.RUNNING, JobState.FAILED}
    ),
    JobState.RUNNING: frozenset({JobState.QUEUED, JobState.RUNNING}),
    JobState.EXPORTING: frozenset(
        {JobState.QUEUED, JobState.RUNNING, JobState.EXPORTING, JobState.FAILED, JobState.HELD}
    ),
    JobState.DONE: frozenset(
        {
            JobState.QUEUED,
            JobState.RUNNING,
            JobState.EXPORTING,
            JobState.HELD,
            JobState.FAILED,
        }
    ),
    JobState.HELD: frozenset(set(JobState) - {JobState.DONE, JobState.CANCELLED}),
    JobState.FAILED: frozenset(
        {
            JobState.WAITING,
            JobState.QUEUED,
            JobState.RUNNING,
            JobState.EXPORTING,
            JobState.HELD,
        }
    ),
    JobState.CANCELLED: frozenset(set(JobState) - {JobState.DONE}),
}

FINISHED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})
ASLEEP = frozenset({JobState.WAITING, JobState.HELD, JobState.FAILED})  # only the disk wakes them
