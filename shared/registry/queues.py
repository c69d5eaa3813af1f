"""How the queues stand: what waits, what runs, and who is there to run it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from redis import Redis

from shared.registry import keys
from shared.registry.step import Priority, Queue

# In the score of a waiting step, as lua/common.lua has it.
_PRIORITY = 10**13  # its weight
_HOLDS_ON = -1  # instead of the priority


@dataclass(frozen=True, slots=True)
class QueueView:
    queue: Queue
    waiting: int  # steps that could start
    retrying: int  # steps that wait for their time
    running: int  # steps that are started, or are about to be
    workers: int  # processes that take steps of it
    places: int  # steps that these run at once
    oldest: datetime | None = None  # since when the oldest of those waiting has been known
    elsewhere: int = 0  # steps that engines elsewhere are at: they have no place here


def queues(redis: Redis) -> list[QueueView]:
    return [_read(redis, queue) for queue in Queue]


def _read(redis: Redis, queue: Queue) -> QueueView:
    lanes = sorted(cast("set[str]", redis.smembers(keys.LANES + queue)))
    with redis.pipeline(transaction=True) as transaction:
        transaction.time()
        transaction.hvals(keys.PLACES + queue)
        for index in (keys.WAITING, keys.DUE, keys.LEASES, keys.HANDED_OVER):
            for lane in lanes:
                transaction.zcard(index + lane)
        for lane in lanes:
            for priority in (_HOLDS_ON, *Priority):
                first, last = priority * _PRIORITY, f"({(priority + 1) * _PRIORITY}"
                transaction.zrangebyscore(keys.WAITING + lane, first, last, 0, 1, withscores=True)
        (seconds, _), announced, *answers = transaction.execute()
    places = [
        int(count) for count, expiry in map(str.split, announced) if int(expiry) > seconds * 1000
    ]
    size = len(lanes)
    counts, heads = answers[: 4 * size], answers[4 * size :]
    waiting, retrying, running, elsewhere = (
        sum(counts[n * size : (n + 1) * size]) for n in range(4)
    )
    submitted = [score % _PRIORITY for head in heads for _, score in head]
    oldest = datetime.fromtimestamp(min(submitted) / 1000, UTC) if submitted else None
    return QueueView(queue, waiting, retrying, running, len(places), sum(places), oldest, elsewhere)
