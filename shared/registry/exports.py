"""Exports: a job and one of its destinations, each with how it stands."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from redis import Redis

from shared.destination_state import DestinationState
from shared.registry import keys
from shared.registry.destinations import destination_names
from shared.registry.job_index import JobFilters, Place, job_ids
from shared.registry.jobs import DestinationProgress
from shared.registry.views import JobView, read_jobs


@dataclass(frozen=True, slots=True)
class ExportView:
    job: str
    destination: str
    made: datetime  # the job
    pipeline: str
    ae_title: str
    calling_ae_title: str
    progress: DestinationProgress
    waits: str  # what it waits for; empty where it waits for nothing, or for its time alone


def list_exports(
    redis: Redis,
    *,
    destination: str | None = None,
    states: Collection[DestinationState] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    before: JobView | None = None,
    limit: int = 50,
) -> list[ExportView]:
    """Those of the newest jobs first, all of a job together; from the indexes, never by a scan.

    Args:
        states: in one of these; empty: in any.
        before: a job; only what comes after it in the list.
        limit: of jobs.
    """
    names = destination_names(redis) if destination is None else [destination]
    place = None if before is None else Place(round(before.created.timestamp() * 1000), before.id)
    found: set[str] = set()
    for name in names:
        for state in states or (None,):
            filters = JobFilters(
                destination=name, destination_state=state, since=since, until=until
            )
            found.update(islice(job_ids(redis, filters, before=place), limit))
    jobs = read_jobs(redis, _newest(redis, found, limit))
    return [
        _view(job, name)
        for job in jobs
        for name in sorted(job.destinations)
        if destination in (None, name) and (not states or job.destinations[name].state in states)
    ]


def _newest(redis: Redis, jobs: Collection[str], limit: int) -> list[str]:
    if not jobs:
        return []
    scores = zip(jobs, redis.zmscore(keys.JOBS_BY_TIME, list(jobs)), strict=True)
    places = (Place(int(created), job) for job, created in scores if created is not None)
    return [place.job for place in sorted(places, reverse=True)[:limit]]


def _view(job: JobView, name: str) -> ExportView:
    return ExportView(
        job=job.id,
        destination=name,
        made=job.created,
        pipeline=job.pipeline,
        ae_title=job.ae_title,
        calling_ae_title=job.calling_ae_title,
        progress=job.destinations[name],
        waits=job.waits.get(name, ""),
    )
