"""How the destinations stand: what waits for them, what fails, and since when."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import cast

from redis import Redis

from shared.job import DestinationState, JobState
from shared.registry import keys
from shared.registry.job_index import job_ids

_OWED = (DestinationState.PENDING, DestinationState.SENDING, DestinationState.RETRYING)


@dataclass(frozen=True, slots=True)
class DestinationView:
    name: str
    waiting: int  # exports that could start
    sending: int  # that are started, or are about to be
    retrying: int  # that wait for their time
    failed: int  # jobs whose export failed for good
    troubled: bool  # the last export failed: one at a time, until one succeeds
    oldest: datetime | None  # when the oldest job was made that is still to be sent there

    @property
    def owed(self) -> int:
        return self.waiting + self.sending + self.retrying


def destinations(redis: Redis, names: Iterable[str] = ()) -> list[DestinationView]:
    """Those that jobs have had, and those that are named here."""
    known = cast("set[str]", redis.smembers(keys.DESTINATION_NAMES))
    return [_read(redis, name) for name in sorted(known.union(names))]


def _read(redis: Redis, name: str) -> DestinationView:
    lane = f"export:{name}"
    with redis.pipeline(transaction=True) as transaction:
        for index in (keys.WAITING, keys.LEASES, keys.DUE):
            transaction.zcard(index + lane)
        transaction.zcard(keys.jobs_by_destination_state(name, DestinationState.FAILED))
        transaction.sismember(keys.TROUBLED, lane)
        waiting, sending, retrying, failed, troubled = transaction.execute()
    owed = waiting + sending + retrying
    oldest = _oldest(redis, name) if owed else None
    return DestinationView(name, waiting, sending, retrying, failed, bool(troubled), oldest)


def _oldest(redis: Redis, name: str) -> datetime | None:
    oldest = [
        job
        for state in _OWED
        for job in islice(
            job_ids(
                redis,
                {"state": JobState.EXPORTING, "destination": name, "destination_state": state},
                oldest_first=True,
            ),
            1,
        )
    ]
    if not oldest:
        return None
    found = redis.zmscore(keys.JOBS_BY_TIME, oldest)
    times = [milliseconds for milliseconds in found if milliseconds is not None]
    return datetime.fromtimestamp(min(times) / 1000, UTC) if times else None
