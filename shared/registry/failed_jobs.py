"""Which jobs are meant by "all that failed"."""

from redis import Redis

from shared.job import DestinationState, JobState
from shared.registry.views import JobView, list_jobs

_ALL = 10**9


def failed_jobs(
    redis: Redis,
    *,
    destination: str | None = None,
    pipeline: str | None = None,
    ae_title: str | None = None,
) -> list[str]:
    """The ids of failed jobs, the oldest first.

    With a destination, of those whose export to it failed, also where others still go on.
    """
    states = [JobState.FAILED] + ([JobState.EXPORTING] if destination else [])
    found = [
        job
        for state in states
        for job in list_jobs(redis, state=state, ae_title=ae_title, limit=_ALL)
        if pipeline in (None, job.pipeline) and _failed_at(job, destination)
    ]
    return sorted(job.id for job in found)


def _failed_at(job: JobView, destination: str | None) -> bool:
    if destination is None:
        return True
    end = job.destinations.get(destination)
    return end is not None and end.state is DestinationState.FAILED
