"""Which jobs are meant by "all that failed"."""

from redis import Redis

from shared.job import DestinationState, JobState
from shared.registry.job_index import JobFilters, job_ids


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
    filters = JobFilters(pipeline=pipeline, ae_title=ae_title)
    states = [JobState.FAILED]
    if destination is not None:
        filters |= JobFilters(destination=destination, destination_state=DestinationState.FAILED)
        states.append(JobState.EXPORTING)
    found = (job_ids(redis, filters | JobFilters(state=state)) for state in states)
    return sorted(job for some in found for job in some)
