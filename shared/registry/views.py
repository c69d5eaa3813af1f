"""Read-only views of the records: each screen and each `--json` is a few lines over one of them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from redis import Redis

from shared.job import DestinationState, JobState
from shared.registry import keys
from shared.registry.jobs import DestinationProgress


@dataclass(frozen=True, slots=True)
class HistoryLine:
    at: datetime
    state: str
    what: str
    who: str  # a worker's name, or user@host


@dataclass(frozen=True, slots=True)
class JobView:
    """A job's record as it stands in Redis."""

    id: str
    state: JobState
    delivery: str
    pipeline: str
    ae_title: str
    calling_ae_title: str
    priority: str
    instances: int
    size: int  # bytes
    incomplete: bool
    created: datetime
    updated: datetime
    attempt: int  # of the pipeline; 0 before the first
    reason: str
    retry_at: datetime | None
    destinations: dict[str, DestinationProgress]


class UnknownJobError(Exception):
    """No job has this id."""


def list_jobs(
    redis: Redis,
    *,
    state: JobState | None = None,
    ae_title: str | None = None,
    limit: int = 50,
) -> list[JobView]:
    """The newest jobs first, from the indexes: no key is scanned."""
    indexes = []
    if state is not None:
        indexes.append(keys.JOBS_BY_STATE + state)
    if ae_title is not None:
        indexes.append(keys.JOBS_BY_AE_TITLE + ae_title)
    if len(indexes) == 2:
        found = redis.zinter(indexes, aggregate="MIN")  # both by time
        ids = cast("list[str]", found)[::-1][:limit]
    else:
        ids = _newest(redis, indexes[0] if indexes else keys.JOBS_BY_TIME, limit)
    return [view for view in (_read(redis, job_id) for job_id in ids) if view is not None]


def count_jobs(redis: Redis) -> dict[JobState, int]:
    """How many jobs are in each state."""
    with redis.pipeline(transaction=True) as transaction:
        for state in JobState:
            transaction.zcard(keys.JOBS_BY_STATE + state)
        return dict(zip(JobState, transaction.execute(), strict=True))


def find_job(redis: Redis, id_or_prefix: str) -> JobView:
    """The job with this id, or the only one of the newest thousand whose id begins or ends so.

    Raises:
        UnknownJobError: none, or several.
    """
    view = _read(redis, id_or_prefix)
    if view is not None:
        return view
    recent = _newest(redis, keys.JOBS_BY_TIME, 1000)
    matches = [i for i in recent if i.startswith(id_or_prefix) or i.endswith(id_or_prefix)]
    view = _read(redis, matches[0]) if len(matches) == 1 else None
    if view is None:
        found = f"{len(matches)} jobs match" if matches else "no job is"
        raise UnknownJobError(f"{found} {id_or_prefix!r}")
    return view


def history(redis: Redis, job_id: str) -> list[HistoryLine]:
    """What happened to a job, oldest first."""
    entries = cast("list[tuple[str, dict[str, str]]]", redis.xrange(keys.HISTORY + job_id))
    return [
        HistoryLine(
            _time(entry_id.partition("-")[0]), fields["state"], fields["what"], fields["who"]
        )
        for entry_id, fields in entries
    ]


def _newest(redis: Redis, index: str, limit: int) -> list[str]:
    return cast("list[str]", redis.zrevrange(index, 0, limit - 1))


def _read(redis: Redis, job_id: str) -> JobView | None:
    with redis.pipeline(transaction=True) as transaction:
        transaction.hgetall(keys.JOB + job_id)
        transaction.hgetall(keys.DESTINATIONS + job_id)
        record, destinations = transaction.execute()
    if not record:
        return None
    return JobView(
        id=record["id"],
        state=JobState(record["state"]),
        delivery=record["delivery"],
        pipeline=record["pipeline"],
        ae_title=record["ae_title"],
        calling_ae_title=record["calling_ae_title"],
        priority=record["priority"],
        instances=int(record["instances"]),
        size=int(record["size"]),
        incomplete=record["incomplete"] == "1",
        created=_time(record["created"]),
        updated=_time(record["updated"]),
        attempt=int(record.get("attempt", 0)),
        reason=record.get("reason", ""),
        retry_at=_time(record["retry_at"]) if record.get("retry_at") else None,
        destinations={name: _progress(json.loads(text)) for name, text in destinations.items()},
    )


def _progress(fields: dict[str, Any]) -> DestinationProgress:
    return DestinationProgress(**{**fields, "state": DestinationState(fields["state"])})


def _time(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
