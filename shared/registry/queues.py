"""How the queues stand: what waits, what runs, and who is there to run it."""

from dataclasses import dataclass
from typing import cast

from redis import Redis

from shared.registry import keys
from shared.registry.gate import Queue


@dataclass(frozen=True, slots=True)
class QueueView:
    queue: Queue
    waiting: int  # steps that could start
    retrying: int  # steps that wait for their time
    running: int  # steps that are started, or are about to be
    workers: int  # processes that take steps of it
    places: int  # steps that these run at once


def queues(redis: Redis) -> list[QueueView]:
    return [_read(redis, queue) for queue in Queue]


def _read(redis: Redis, queue: Queue) -> QueueView:
    lanes = sorted(cast("set[str]", redis.smembers(keys.LANES + queue)))
    with redis.pipeline(transaction=True) as transaction:
        transaction.time()
        transaction.hvals(keys.PLACES + queue)
        for index in (keys.WAITING, keys.DUE, keys.LEASES):
            for lane in lanes:
                transaction.zcard(index + lane)
        (seconds, _), announced, *counts = transaction.execute()
    places = [
        int(count) for count, expiry in map(str.split, announced) if int(expiry) > seconds * 1000
    ]
    size = len(lanes)
    waiting, retrying, running = (sum(counts[n * size : (n + 1) * size]) for n in range(3))
    return QueueView(queue, waiting, retrying, running, len(places), sum(places))
