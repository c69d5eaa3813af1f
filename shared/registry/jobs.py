"""Writing the job records: each change one atomic step that checks the state before it."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import cast

from redis import Redis

from shared.destination_state import DestinationState
from shared.job import DestinationEnd, Job
from shared.job_state import ASLEEP, MAY_FOLLOW, JobState
from shared.registry import keys, scripts


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


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a job's history, besides when it was and the state that the job then was in."""

    what: str
    who: str = ""  # a worker's name, or user@host
    attempt: int = 0  # of the step that did it; 0: no attempt of a step
    error: str = ""
    seconds: float | None = None  # that the attempt took


class JobRecords:
    """Every call may be repeated, and raises `redis.RedisError` with Redis away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def create(self, job: Job, state: JobState, event: str | Entry, who: str = "") -> bool:
        """Makes the record of a job that has none; False if it had one.

        That one gets the destinations that it lacks.
        """
        fields: dict[str, str | int] = {
            "delivery": job.delivery,
            "pipeline": job.pipeline,
            "ae_title": job.ae_title,
            "calling_ae_title": job.calling_ae_title,
            "priority": job.priority,
            "reason": job.reason,
            "studies": " ".join(job.studies),
            "follows": job.follows,
            **waiting_fields(job),
        }
        if job.result:
            fields["attempt"] = job.result.attempt
        flat = [value for item in fields.items() for value in item]
        made = scripts.run(
            self._redis,
            "create_job",
            job.id,
            state,
            round(job.created.timestamp() * 1000),
            *_entry(event, who),
            len(flat),
            *flat,
            *_destinations(job),
        )
        return bool(made)

    def move(
        self,
        job_id: str,
        state: JobState,
        event: str | Entry = "",
        *,
        who: str = "",
        sources: Collection[JobState] | None = None,
        **fields: str | int,
    ) -> bool:
        """Moves a job into a state and sets fields of its record; False if it may not go there.

        A line that is the last already is not written again: such a call is a repeated one, and
        true. A job without a record stays without: who has its folder makes it.

        Args:
            event: a line of its history; empty: none.
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
            *_entry(event, who),
            len(sources),
            *sorted(sources),
            *flat,
        )
        return bool(moved)

    def reopen_destinations(self, job_id: str, names: Collection[str]) -> None:
        """These are to be sent to (again); what was delivered stays counted."""
        scripts.run(self._redis, "reopen_destinations", job_id, *names)

    def set_destination(self, job_id: str, name: str, progress: DestinationProgress) -> None:
        """A job without a record stays without."""
        scripts.run(self._redis, "set_destination", job_id, name, _json(progress))

    def set_refusal(self, destination: str, statuses: str) -> None:
        """What a destination answers that any instance would meet; empty: it does not any more."""
        if statuses:
            self._redis.hset(keys.REFUSALS, destination, statuses)
        else:
            self._redis.hdel(keys.REFUSALS, destination)

    def in_state(self, state: JobState) -> set[str]:
        """The ids of all jobs in a state."""
        return set(cast("list[str]", self._redis.zrange(keys.JOBS_BY_STATE + state, 0, -1)))

    def remove(self, job_id: str) -> None:
        scripts.run(self._redis, "remove_job", job_id)

    def ids(self) -> list[str]:
        """Every job that has a record, oldest first."""
        return cast("list[str]", self._redis.zrange(keys.JOBS_BY_TIME, 0, -1))

    def states(self, job_ids: Sequence[str]) -> dict[str, JobState]:
        """The state on record of each of these jobs that has one."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hget(keys.JOB + job_id, "state")
            found = zip(job_ids, pipeline.execute(), strict=True)
            return {job_id: JobState(state) for job_id, state in found if state}


def _entry(event: str | Entry, who: str) -> tuple[str | int, ...]:
    entry = event if isinstance(event, Entry) else Entry(event, who)
    seconds = "" if entry.seconds is None else f"{entry.seconds:.3f}"
    return entry.what, entry.who, entry.attempt or "", entry.error, seconds


def waiting_fields(job: Job) -> dict[str, str | int]:
    """What a record says otherwise once more of its group has come, or none is waited for."""
    return {
        "deliveries": len(job.deliveries),
        "instances": job.instances,
        "size": job.size,
        "incomplete": int(job.incomplete),
        "series": len(job.series),
        "marks": job.marks.model_dump_json(),
        "retry_at": round(job.due.timestamp() * 1000) if job.due else "",
    }


def _destinations(job: Job) -> list[str]:
    """Names and JSON, in turn, of how the disk says that a job's destinations stand."""
    progress = dict.fromkeys(job.export_to, DestinationProgress(DestinationState.PENDING))
    progress |= {name: DestinationProgress.ended(end) for name, end in job.destinations.items()}
    return [text for name, each in progress.items() for text in (name, _json(each))]


def _json(progress: DestinationProgress) -> str:
    return json.dumps(asdict(progress))
