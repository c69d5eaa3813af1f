"""The receivers that live: each says so every few seconds, or is forgotten."""

from typing import Any, cast

from redis import Redis

from shared.receiver_state import ReceiverState
from shared.registry import keys

PERIOD = 2.0  # seconds between two beats
_LASTS = 10  # seconds


def beat(redis: Redis, state: ReceiverState) -> None:
    """
    Raises:
        redis.RedisError: Redis is away; to be called again.
    """
    fields: dict[Any, Any] = {
        name: str(value) for name, value in state.model_dump(mode="json").items()
    }
    with redis.pipeline(transaction=True) as transaction:
        transaction.hset(keys.RECEIVER + state.id, mapping=fields)
        transaction.expire(keys.RECEIVER + state.id, _LASTS)
        transaction.sadd(keys.RECEIVERS, state.id)
        transaction.execute()


def leave(redis: Redis, receiver: str) -> None:
    """It has stopped.

    Raises:
        redis.RedisError: Redis is away; the receiver is forgotten in a few seconds.
    """
    redis.delete(keys.RECEIVER + receiver)
    redis.srem(keys.RECEIVERS, receiver)


def receivers(redis: Redis) -> list[ReceiverState]:
    """Those that live, by machine and port."""
    ids = sorted(cast("set[str]", redis.smembers(keys.RECEIVERS)))
    with redis.pipeline(transaction=False) as pipeline:
        for receiver in ids:
            pipeline.hgetall(keys.RECEIVER + receiver)
        records = pipeline.execute()
    found = [ReceiverState.model_validate(record) for record in records if record]
    return sorted(found, key=lambda state: (state.host, state.port))
