"""Writing the job records: each change one atomic step that checks the state before it."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass

from redis import Redis

from shared.job import ASLEEP, MAY_FOLLOW, DestinationEnd, DestinationState, Job, JobState
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

    def create(self, job: Job, state: JobState, event: str, who: str = "") -> bool:
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
            who,
            len(flat),
            *flat,
            *_destinations(job),
        )
        return bool(made)

    def move(
        self,
        job_id: str,
        state: JobState,
        event: str = "",
        *,
        who: str = "",
        sources: Collection[JobState] | None = None,
        **fields: str | int,
    ) -> bool:
        """Moves a job into a state, with a line of history; False if it may not go there.

        A line that is the last already is not written again: such a call is a repeated one, and
        true. A job without a record stays without: who has its folder makes it.

        Args:
            who: `user@host` for a person, the worker's name for a run.
            sources: the states it may come from; unless told, those that a run's own words may
                lead out of. They come too late once a person holds the job, say.
        """
        sources = MAY_FOLLOW[state] - ASLEEP if sources is None else sources
        flat = [value for item in fields.items() for value in item]
        moved = scripts.run(
            self._redis,
            "move_job",
            job_id,
            state,
            event,
            who,
            _HISTORY_LENGTH,
            len(sources),
            *sorted(sources),
            *flat,
        )
        return bool(moved)

    def reopen_destinations(self, job_id: str, names: Collection[str]) -> None:
        """These are to be sent to (again); what was delivered stays counted."""
        scripts.run(self._redis, "reopen_destinations", job_id, *names)

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
