"""How the destinations stand: what waits for them, what fails, and since when."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import cast

from redis import Redis

from shared.job import FAILURES, DestinationState, JobState
from shared.registry import keys
from shared.registry.job_index import job_ids

_OWED = (DestinationState.PENDING, DestinationState.SENDING, DestinationState.RETRYING)


@dataclass(frozen=True, slots=True)
class DestinationView:
    name: str
    waiting: int  # exports that could start
    sending: int  # that are started, or are about to be
    retrying: int  # that wait for their time
    failed: int  # jobs whose export failed for good, or was never confirmed
    troubled: bool  # the last export failed: one at a time, until one succeeds
    oldest: datetime | None  # when the oldest job was made that is still to be sent there
    unconfirmed: int = 0  # exports that are delivered and wait for the destination's commitment

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
        transaction.sismember(keys.TROUBLED, lane)
        for state in (DestinationState.AWAITING_COMMITMENT, *FAILURES):
            transaction.zcard(keys.jobs_by_destination_state(name, state))
        waiting, sending, due, troubled, unconfirmed, *failed = transaction.execute()
    view = DestinationView(
        name=name,
        waiting=waiting,
        sending=sending,
        retrying=max(0, due - unconfirmed),  # these wait for their time as well
        failed=sum(failed),
        troubled=bool(troubled),
        oldest=None,
        unconfirmed=unconfirmed,
    )
    return replace(view, oldest=_oldest(redis, name)) if view.owed else view


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
