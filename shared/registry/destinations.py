"""How the destinations stand: what waits for them, what fails and since when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import cast

from redis import Redis

from shared.destination_state import FAILURES, DestinationState
from shared.job_state import JobState
from shared.job_steps import EXPORT_LANE
from shared.registry import keys
from shared.registry.job_index import job_ids
from shared.registry.step import PROBE

_OWED = (DestinationState.PENDING, DestinationState.SENDING, DestinationState.RETRYING)
_RATE = 5  # minutes that it is told over


class Breaker(StrEnum):
    CLOSED = "closed"
    TROUBLED = "troubled"  # the last export failed: one at a time, until one succeeds
    OPEN = "open"  # several failed in a row: nothing is sent until the destination answers a probe


@dataclass(frozen=True, slots=True)
class Health:
    """What the gate, and the exports before, know of a destination."""

    breaker: Breaker = Breaker.CLOSED
    open_since: datetime | None = None
    next_probe: datetime | None = None  # None also while one is under way
    error: str = ""  # of the last failure, until an export succeeds
    error_at: datetime | None = None
    paused: bool = False  # by a person
    refusal: str = ""  # statuses that any instance would meet, of the last export that met such

    @property
    def holds(self) -> str:
        """Why nothing is sent there now; empty where nothing keeps it from it."""
        if self.paused:
            return "paused"
        return "breaker open" if self.breaker is Breaker.OPEN else ""


@dataclass(frozen=True, slots=True)
class DestinationView:
    name: str
    waiting: int  # exports that could start
    sending: int  # that are started, or are about to be
    retrying: int  # that wait for their time
    failed: int  # jobs whose export failed for good, or was never confirmed
    oldest: datetime | None  # when the oldest job was made that is still to be sent there
    unconfirmed: int = 0  # exports that are delivered and wait for the destination's commitment
    health: Health = Health()
    delivered_today: int = 0  # instances, since midnight here
    per_minute: float = 0  # instances, over the last five minutes

    @property
    def owed(self) -> int:
        return self.waiting + self.sending + self.retrying


def destinations(redis: Redis, names: Iterable[str] = ()) -> list[DestinationView]:
    """Those that jobs have had, and those that are named here."""
    known = sorted({*destination_names(redis), *names})
    healths = destination_healths(redis, known)
    return [_read(redis, name, healths[name]) for name in known]


def destination_names(redis: Redis) -> list[str]:
    """Those that jobs have had."""
    return sorted(cast("set[str]", redis.smembers(keys.DESTINATION_NAMES)))


def destination_healths(redis: Redis, names: Iterable[str]) -> dict[str, Health]:
    """In one round trip."""
    asked = list(names)
    with redis.pipeline(transaction=False) as pipeline:
        for name in asked:
            lane = EXPORT_LANE + name
            pipeline.hgetall(keys.LANE + lane)
            pipeline.zscore(keys.DUE + PROBE + lane, PROBE + lane)
            pipeline.hget(keys.REFUSALS, name)
        found = pipeline.execute()
    return {
        name: _health(*some)
        for name, *some in zip(asked, found[::3], found[1::3], found[2::3], strict=True)
    }


def _health(lane: Mapping[str, str], probe: float | None, refusal: str | None) -> Health:
    breaker = Breaker.CLOSED
    if lane.get("shut"):
        breaker = Breaker.OPEN
    elif lane.get("failures"):
        breaker = Breaker.TROUBLED
    return Health(
        breaker=breaker,
        open_since=_time(lane.get("shut")),
        next_probe=_time(probe) if breaker is Breaker.OPEN else None,
        error=lane.get("error", ""),
        error_at=_time(lane.get("error_at")),
        paused=lane.get("paused") == "1",
        refusal=refusal or "",
    )


def _read(redis: Redis, name: str, health: Health) -> DestinationView:
    lane = EXPORT_LANE + name
    with redis.pipeline(transaction=True) as transaction:
        for index in (keys.WAITING, keys.LEASES, keys.DUE):
            transaction.zcard(index + lane)
        for state in (DestinationState.AWAITING_COMMITMENT, *FAILURES):
            transaction.zcard(keys.jobs_by_destination_state(name, state))
        waiting, sending, due, unconfirmed, *failed = transaction.execute()
    today, rate = _sent(redis, name)
    view = DestinationView(
        name=name,
        waiting=waiting,
        sending=sending,
        retrying=max(0, due - unconfirmed),  # these wait for their time as well
        failed=sum(failed),
        oldest=None,
        unconfirmed=unconfirmed,
        health=health,
        delivered_today=today,
        per_minute=rate,
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
    return _time(min(times)) if times else None


def _sent(redis: Redis, name: str) -> tuple[int, float]:
    """Instances delivered today, and a minute lately."""
    now = datetime.now().astimezone()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    lately = now - timedelta(minutes=_RATE)
    first, last = (round(time.timestamp()) // 60 for time in (min(midnight, lately), now))
    with redis.pipeline(transaction=False) as pipeline:
        for hour in range(first // 60, last // 60 + 1):
            pipeline.hgetall(f"{keys.SENT}{name}:{hour}")
        counts = [
            (int(minute) * 60, int(count))
            for found in pipeline.execute()
            for minute, count in found.items()
        ]
    today = sum(count for at, count in counts if at >= midnight.timestamp())
    return today, sum(count for at, count in counts if at > lately.timestamp() - 60) / _RATE


def _time(milliseconds: float | str | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(float(milliseconds) / 1000, UTC)
