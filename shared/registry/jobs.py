"""Writing the job records: each change one atomic step that checks the state before it."""

import json
from dataclasses import asdict, dataclass

from redis import Redis

from shared.job import MAY_FOLLOW, DestinationEnd, DestinationState, Job, JobState
from shared.registry import keys, scripts

_HISTORY_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class DestinationProgress:
    """How one destination of a job stands."""

    state: DestinationState
    total: int = 0
    delivered: int = 0
    warnings: int = 0
    failed: int = 0
    reason: str = ""
    retry_at: float | None = None  # POSIX time

    @classmethod
    def ended(cls, end: DestinationEnd) -> "DestinationProgress":
        total = end.delivered + end.failed
        return cls(end.state, total, end.delivered, end.warnings, end.failed, end.reason)


class JobRecords:
    """Every call may be repeated, and raises `redis.RedisError` with Redis away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def create(self, job: Job, state: JobState, event: str) -> bool:
        """Makes the record of a job that has none; False if it had one."""
        fields: dict[str, str | int] = {
            "delivery": job.delivery,
            "pipeline": job.pipeline,
            "calling_ae_title": job.calling_ae_title,
            "priority": job.priority,
            "instances": job.instances,
            "size": job.size,
            "incomplete": int(job.incomplete),
            "reason": job.reason,
        }
        if job.result:
            fields["attempt"] = job.result.attempt
        flat = [value for item in fields.items() for value in item]
        made = scripts.run(
            self._redis,
            "create_job",
            job.id,
            state,
            job.ae_title,
            round(job.created.timestamp() * 1000),
            event,
            len(flat),
            *flat,
            *_destinations(job),
        )
        return bool(made)

    def move(self, job_id: str, state: JobState, event: str = "", **fields: str | int) -> bool:
        """Moves a job into a state, with a line of history; False if it may not go there.

        A job without a record stays without: who has its folder makes it.
        """
        flat = [value for item in fields.items() for value in item]
        sources = sorted(MAY_FOLLOW[state])
        old = scripts.run(
            self._redis,
            "move_job",
            job_id,
            state,
            event,
            _HISTORY_LENGTH,
            len(sources),
            *sources,
            *flat,
        )
        return old in sources

    def set_destination(self, job_id: str, name: str, progress: DestinationProgress) -> None:
        self._redis.hset(keys.DESTINATIONS + job_id, name, _json(progress))

    def remove(self, job_id: str) -> None:
        scripts.run(self._redis, "remove_job", job_id)


def _destinations(job: Job) -> list[str]:
    """Names and JSON, in turn, of how the disk says that a job's destinations stand."""
    progress = dict.fromkeys(job.export_to, DestinationProgress(DestinationState.PENDING))
    progress |= {name: DestinationProgress.ended(end) for name, end in job.destinations.items()}
    return [text for name, each in progress.items() for text in (name, _json(each))]


def _json(progress: DestinationProgress) -> str:
    return json.dumps(asdict(progress))
