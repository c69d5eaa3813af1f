"""The worker processes that live: each says so every few seconds, or is forgotten."""

from typing import cast

from redis import Redis

from shared.registry import keys, scripts
from shared.worker_state import WorkerState


def beat(redis: Redis, state: WorkerState, lasts: float) -> None:
    """Says how a worker stands, for `lasts` seconds.

    Raises:
        redis.RedisError: Redis is away; to be called again.
    """
    scripts.run(redis, "worker_beat", state.id, round(lasts * 1000), state.model_dump_json())


def leave(redis: Redis, worker: str) -> None:
    """It has stopped.

    Raises:
        redis.RedisError: Redis is away; the worker is forgotten in a few seconds.
    """
    with redis.pipeline(transaction=True) as transaction:
        transaction.delete(keys.WORKER + worker, keys.CANARIES + worker)
        transaction.zrem(keys.WORKERS, worker)
        transaction.execute()


def workers(redis: Redis) -> list[WorkerState]:
    """Those that live, by machine and name."""
    ids = cast("list[str]", redis.zrange(keys.WORKERS, 0, -1))
    records = cast("list[str | None]", redis.mget([keys.WORKER + i for i in ids])) if ids else []
    found = [WorkerState.model_validate_json(record) for record in records if record]
    return sorted(found, key=lambda state: (state.host, state.name, state.since))
