"""Which jobs there are: from the indexes, a page at a time, whatever is asked for together."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, TypedDict, cast

from redis import Redis

from shared.destination_state import DestinationState
from shared.job_state import JobState
from shared.registry import keys
from shared.study import study_hash

Bound = int | str  # of a score, as Redis takes it

_FIRST_PAGE, _LARGEST_PAGE = 100, 1000


class Place(NamedTuple):
    """Where a job stands in every index: those of one millisecond stand by their ids."""

    created: int  # POSIX time, ms
    job: str


class JobFilters(TypedDict, total=False):
    """What a job must be to be listed; all that is given holds together."""

    state: JobState | None
    ae_title: str | None  # ours
    calling_ae_title: str | None
    pipeline: str | None
    destination: str | None
    destination_state: DestinationState | None  # of the export to `destination`
    study: str | None  # a Study Instance UID
    since: datetime | None  # made then or later
    until: datetime | None  # made before then


def job_ids(
    redis: Redis, filters: JobFilters, *, before: Place | None = None, oldest_first: bool = False
) -> Iterator[str]:
    """The ids of these jobs, the newest first unless asked otherwise.

    The smallest of the indexes is walked and the others are asked about each page of it: the cost
    goes with how many must be looked at until the caller has enough, not with how many there are.

    Args:
        before: only jobs older than the one that stands there.

    Raises:
        ValueError: `destination_state` without a `destination`.
        redis.RedisError: Redis is away.
    """
    since, until = _milliseconds(filters.get("since")), _milliseconds(filters.get("until"))
    oldest: Bound = "-inf" if since is None else since
    newest: Bound = "+inf" if until is None else f"({until}"
    if before is not None and (until is None or before.created < until):
        newest = before.created
    smallest, *others = _by_size(redis, _indexes(filters), oldest, newest)
    for page in _pages(redis, smallest, oldest, newest, oldest_first):
        jobs = [place.job for place in page if before is None or place < before]
        yield from _in_all(redis, jobs, others)


def _indexes(filters: JobFilters) -> list[str]:
    found = [
        prefix + value
        for prefix, value in (
            (keys.JOBS_BY_STATE, filters.get("state")),
            (keys.JOBS_BY_AE_TITLE, filters.get("ae_title")),
            (keys.JOBS_BY_CALLING_AE_TITLE, filters.get("calling_ae_title")),
            (keys.JOBS_BY_PIPELINE, filters.get("pipeline")),
        )
        if value is not None
    ]
    destination, its_state = filters.get("destination"), filters.get("destination_state")
    if its_state is not None:
        if destination is None:
            raise ValueError("destination_state needs a destination")
        found.append(keys.jobs_by_destination_state(destination, its_state))
    elif destination is not None:
        found.append(keys.JOBS_BY_DESTINATION + destination)
    if (study := filters.get("study")) is not None:
        found.append(keys.JOBS_BY_STUDY + study_hash(study))
    return found or [keys.JOBS_BY_TIME]


def _by_size(redis: Redis, indexes: list[str], oldest: Bound, newest: Bound) -> list[str]:
    if len(indexes) == 1:
        return indexes
    with redis.pipeline(transaction=False) as pipeline:
        for index in indexes:
            pipeline.zcount(index, oldest, newest)
        sizes = dict(zip(indexes, pipeline.execute(), strict=True))
    return sorted(indexes, key=sizes.__getitem__)


def _pages(
    redis: Redis, index: str, oldest: Bound, newest: Bound, oldest_first: bool
) -> Iterator[list[Place]]:
    """An index in pages that grow, however many of its jobs were made in one millisecond."""
    start, end = (oldest, newest) if oldest_first else (newest, oldest)
    size, passed = _FIRST_PAGE, 0  # passed: how many of those at `start` were in earlier pages
    while True:
        found = redis.zrange(
            index,
            cast("int", start),
            cast("int", end),
            desc=not oldest_first,
            byscore=True,
            withscores=True,
            offset=passed,
            num=size,
        )
        page = [Place(int(score), job) for job, score in cast("list[tuple[str, float]]", found)]
        yield page
        if len(page) < size:
            return
        last = page[-1].created
        at_last = sum(place.created == last for place in page)
        passed = passed + at_last if last == start else at_last
        start, size = last, min(2 * size, _LARGEST_PAGE)


def _in_all(redis: Redis, jobs: list[str], indexes: list[str]) -> list[str]:
    if not jobs or not indexes:
        return jobs
    with redis.pipeline(transaction=False) as pipeline:
        for index in indexes:
            pipeline.zmscore(index, jobs)
        scores = zip(*pipeline.execute(), strict=True)
    return [job for job, each in zip(jobs, scores, strict=True) if None not in each]


def _milliseconds(time: datetime | None) -> int | None:
    return None if time is None else round(time.timestamp() * 1000)
