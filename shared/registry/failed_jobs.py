"""Which jobs are meant by "all that failed"."""

from redis import Redis

from shared.destination_state import FAILURES
from shared.job_state import JobState
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
    wanted = [JobFilters(state=JobState.FAILED)]
    if destination is not None:
        filters |= JobFilters(destination=destination)
        wanted = [
            JobFilters(state=state, destination_state=failure)
            for state in (JobState.FAILED, JobState.EXPORTING)
            for failure in FAILURES
        ]
    found = (job_ids(redis, filters | each) for each in wanted)
    return sorted(job for some in found for job in some)
