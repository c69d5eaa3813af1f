"""Read-only views of the records: each screen and each `--json` is a few lines over one of them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Unpack, cast

from redis import Redis

from shared.destination_state import DestinationState
from shared.job_state import JobState
from shared.marks import Marks
from shared.registry import keys
from shared.registry.destinations import Health, destination_healths
from shared.registry.job_index import JobFilters, Place, job_ids
from shared.registry.jobs import DestinationProgress

_READ_AT_ONCE = 200  # records


@dataclass(frozen=True, slots=True)
class HistoryLine:
    at: datetime
    state: str  # of the job, from then on
    what: str
    who: str  # a worker's name, or user@host
    attempt: int | None  # of the step that did it
    error: str
    seconds: float | None  # that the attempt took


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
    retry_at: datetime | None  # the next attempt, or the end of the wait for its group
    progress: float | None  # of the attempt that runs, 0 to 1, where its program says so
    studies: tuple[str, ...]  # by `study_hash`
    destinations: dict[str, DestinationProgress]
    deliveries: int = 1  # that it has instances of
    follows: str = ""  # the job that its group had before
    series: int = 0  # that it has instances of
    marks: Marks = field(default_factory=Marks)
    waits: dict[str, str] = field(default_factory=dict)  # destination -> what its export waits for


class UnknownJobError(Exception):
    """No job has this id."""


def list_jobs(
    redis: Redis,
    *,
    limit: int = 50,
    before: JobView | None = None,
    **filters: Unpack[JobFilters],
) -> list[JobView]:
    """The newest jobs first; `before` the last of one list is the next.

    Raises:
        ValueError: `destination_state` without a `destination`.
    """
    place = None if before is None else Place(_milliseconds(before.created), before.id)
    ids = job_ids(redis, filters, before=place)
    found: list[JobView] = []
    while some := list(islice(ids, min(limit - len(found), _READ_AT_ONCE))):
        found += read_jobs(redis, some)
    return found


def count_jobs(redis: Redis, since: datetime | None = None) -> dict[JobState, int]:
    """How many jobs are in each state; of those made since then, if that is told."""
    oldest = "-inf" if since is None else _milliseconds(since)
    with redis.pipeline(transaction=True) as transaction:
        for state in JobState:
            transaction.zcount(keys.JOBS_BY_STATE + state, oldest, "+inf")
        return dict(zip(JobState, transaction.execute(), strict=True))


def find_job(redis: Redis, id_or_prefix: str) -> JobView:
    """The job with this id, or the only one of the newest thousand whose id begins or ends so.

    Raises:
        UnknownJobError: none, or several.
    """
    if views := read_jobs(redis, [id_or_prefix]):
        return views[0]
    recent = islice(job_ids(redis, {}), 1000)
    matches = [i for i in recent if i.startswith(id_or_prefix) or i.endswith(id_or_prefix)]
    views = read_jobs(redis, matches) if len(matches) == 1 else []
    if not views:
        found = f"{len(matches)} jobs match" if matches else "no job is"
        raise UnknownJobError(f"{found} {id_or_prefix!r}")
    return views[0]


def history(redis: Redis, job_id: str) -> list[HistoryLine]:
    """What happened to a job, oldest first."""
    entries = cast("list[tuple[str, dict[str, str]]]", redis.xrange(keys.HISTORY + job_id))
    return [
        HistoryLine(
            at=_time(entry_id.partition("-")[0]),
            state=fields["state"],
            what=fields["what"],
            who=fields["who"],
            attempt=int(fields["attempt"]) if fields["attempt"] else None,
            error=fields["error"],
            seconds=float(fields["seconds"]) if fields["seconds"] else None,
        )
        for entry_id, fields in entries
    ]


def read_jobs(redis: Redis, job_ids: Iterable[str]) -> list[JobView]:
    """In the order asked for; a job that is gone meanwhile is left out."""
    with redis.pipeline(transaction=True) as transaction:
        for job_id in job_ids:
            transaction.hgetall(keys.JOB + job_id)
            transaction.hgetall(keys.DESTINATIONS + job_id)
        answers = transaction.execute()
    pairs = zip(answers[::2], answers[1::2], strict=True)
    views = [_view(record, destinations) for record, destinations in pairs if record]
    return _with_waits(redis, views)


def _with_waits(redis: Redis, views: list[JobView]) -> list[JobView]:
    exporting = [view for view in views if view.state is JobState.EXPORTING]
    names = {name for view in exporting for name in view.destinations}
    if not names:
        return views
    healths = destination_healths(redis, names)
    return [
        replace(view, waits=_waits(view, healths)) if view.state is JobState.EXPORTING else view
        for view in views
    ]


def _waits(view: JobView, healths: Mapping[str, Health]) -> dict[str, str]:
    found = {}
    for name, progress in view.destinations.items():
        match progress.state:
            case DestinationState.PENDING:
                found[name] = healths[name].holds or "waiting for a send place"
            case DestinationState.RETRYING if healths[name].holds:
                found[name] = healths[name].holds
    return found


def _view(record: dict[str, str], destinations: dict[str, str]) -> JobView:
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
        progress=float(record["progress"]) if _is_told(record) else None,
        studies=tuple(record["studies"].split()),
        destinations={name: _progress(json.loads(text)) for name, text in destinations.items()},
        deliveries=int(record.get("deliveries", 1)),
        follows=record.get("follows", ""),
        series=int(record.get("series", 0)),
        marks=Marks.model_validate_json(record.get("marks", "{}")),
    )


def _is_told(record: dict[str, str]) -> bool:
    return record["state"] == JobState.RUNNING and bool(record.get("progress"))


def _progress(fields: dict[str, Any]) -> DestinationProgress:
    return DestinationProgress(**{**fields, "state": DestinationState(fields["state"])})


def _time(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
