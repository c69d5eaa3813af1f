"""How long what is finished is kept."""

from datetime import datetime, timedelta

from shared.job import Job
from shared.job_state import JobState
from shared.settings.sections import Storage


def job_retention(state: JobState, storage: Storage) -> float | None:
    """Seconds after its end; None: a job in this state is never removed by itself."""
    match state:
        case JobState.DONE:
            return storage.job_retention
        case JobState.CANCELLED:
            unset = storage.cancelled_retention is None
            return storage.job_retention if unset else storage.cancelled_retention
        case JobState.FAILED:
            return storage.failed_retention
        case _:
            return None


def job_removal_time(job: Job, storage: Storage) -> datetime | None:
    """When a job may be removed; None: not by itself."""
    period = job_retention(job.state, storage)
    if period is None or job.ended is None:
        return None
    return job.ended + timedelta(seconds=period)


def shortest_retention(storage: Storage) -> float:
    """Seconds for which a job is kept in any case."""
    periods = (job_retention(state, storage) for state in JobState)
    return min(period for period in periods if period is not None)
