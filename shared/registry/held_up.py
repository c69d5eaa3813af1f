"""Steps that a storage which is full, failing or away holds up, or a machine without memory."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from redis import Redis

from shared.registry import keys


@dataclass(frozen=True, slots=True)
class HeldUp:
    steps: int
    since: datetime | None = None  # the first of them
    reason: str = ""  # of that one


def held_up(redis: Redis) -> HeldUp:
    first = cast("list[tuple[str, float]]", redis.zrange(keys.HELD_UP, 0, 0, withscores=True))
    if not first:
        return HeldUp(0)
    ((step_id, since),) = first
    reason = redis.hget(keys.STEP + step_id, "reason") or ""
    at = datetime.fromtimestamp(since / 1000, UTC)
    return HeldUp(int(redis.zcard(keys.HELD_UP)), at, str(reason))
