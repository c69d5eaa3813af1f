"""How the gate holds the steps of a job: what waits, since when, and when it is tried next."""

from dataclasses import dataclass
from datetime import UTC, datetime

from redis import Redis

from shared.registry import keys
from shared.registry.views import JobView


@dataclass(frozen=True, slots=True)
class StepView:
    id: str
    state: str
    attempts: int
    reason: str  # why its last run ended as it did; empty where it ended well
    submitted: datetime
    due: datetime | None  # when it waits again: to be repeated, or given up by its engine
    who: str  # whoever runs it; empty while nobody does


def steps_of(redis: Redis, job: JobView) -> list[StepView]:
    """Those that the gate knows: it forgets a step a day after its end."""
    ids = [job.id, *(f"{job.id}.{destination}" for destination in job.destinations)]
    with redis.pipeline(transaction=False) as pipeline:
        for step_id in ids:
            pipeline.hgetall(keys.STEP + step_id)
        found = zip(ids, pipeline.execute(), strict=True)
    return [_view(redis, step_id, step) for step_id, step in found if step.get("submitted")]


def _view(redis: Redis, step_id: str, step: dict[str, str]) -> StepView:
    index = keys.HANDED_OVER if step["state"] == "handed over" else keys.DUE
    due = redis.zscore(index + step["lane"], step_id)
    return StepView(
        id=step_id,
        state=step["state"],
        attempts=int(step["attempts"]),
        reason=step.get("reason", ""),
        submitted=_time(float(step["submitted"])),
        due=None if due is None else _time(due),
        who=step.get("caller", "").partition("/")[0] if step["state"] == "running" else "",
    )


def _time(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
