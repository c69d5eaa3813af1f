"""The gate: what may run now.

A Celery message is a hint, which can be lost or doubled. A step runs only while it holds the
newest token and a lease; both are kept here, by the server's clock.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from redis import Redis

from shared.registry import keys, scripts
from shared.registry.step import Grant, Priority, Queue, Run, Step, StepEnd, Trouble

_GRANTS_AT_ONCE = 16
_KEEP_FINISHED = 24 * 3600.0
_PLACES_LAST = 10.0
_KEEP_REMOVING = 300.0  # far longer than anybody acts on what was read before

_ENDED = ("done", "failed")
_WAITING = ("waiting", "retrying")


class Verdict(StrEnum):
    GO_ON = "go on"
    LOST = "lost"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Leases:
    """Periods in seconds."""

    granted: float = 15
    running: float = 30


class Gate:
    """Every call is atomic, may be repeated, and raises `redis.RedisError` with Redis away."""

    def __init__(self, redis: Redis, leases: Leases) -> None:
        self._redis = redis
        self.leases = leases

    def submit(self, step: Step, delay: float = 0) -> str:
        """Lets a step wait in its lane, or for `delay` seconds first; its state from then on.

        One that is known already stays as it is, also after its end.
        """
        state: str = scripts.run(
            self._redis,
            "submit",
            step.id,
            step.queue,
            step.lane,
            step.job,
            int(step.priority),
            _ms(delay),
        )
        return state

    def withdraw(self, step_id: str) -> bool:
        """Takes a step back, or forgets its end, so that it may be submitted anew.

        True while a run of it has still to stop, which its beat will tell; it may be submitted
        anew once that run has ended, or its lease has.
        """
        return bool(scripts.run(self._redis, "withdraw", step_id, _ms(_KEEP_FINISHED)))

    def forget_end(self, step_id: str) -> None:
        """Lets a step that has ended be submitted anew; one under way stays as it is."""
        scripts.run(self._redis, "forget", step_id, *_ENDED)

    def forget(self, step_id: str) -> bool:
        """Forgets a step that nobody is at: ended, or not begun; False while it is at work."""
        return not scripts.run(self._redis, "forget", step_id, *_ENDED, *_WAITING)

    def retire(self, step_ids: Iterable[str]) -> bool:
        """Takes the steps of what is about to be removed to `removing`, all or none of them.

        False if one of them is waiting, due later, granted, running or handed over. From a yes on
        no submit brings them back for minutes, so that the removal and a retry cannot both win.
        """
        return bool(scripts.run(self._redis, "retire", _ms(_KEEP_REMOVING), *step_ids))

    def waiting(self) -> dict[str, str]:
        """The steps that wait for a place or a time, and the job of each ('' for dispatches)."""
        found: dict[str, str] = {}
        for queue in Queue:
            for lane in cast("set[str]", self._redis.smembers(keys.LANES + queue)):
                for index in (keys.WAITING, keys.DUE):
                    ids = cast("list[str]", self._redis.zrange(index + lane, 0, -1))
                    found |= zip(ids, self._jobs_of(ids), strict=True)
        return found

    def _jobs_of(self, step_ids: list[str]) -> list[str]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for step_id in step_ids:
                pipeline.hget(keys.STEP + step_id, "job")
            return [job or "" for job in pipeline.execute()]

    def grant(self, queue: Queue) -> list[Grant]:
        """Admits what caps and places allow, oldest first; the caller publishes each."""
        tokens = [secrets.token_hex(8) for _ in range(_GRANTS_AT_ONCE)]
        granted = scripts.run(
            self._redis,
            "grant",
            queue,
            _ms(self.leases.granted),
            _ms(self.leases.running),
            _ms(_KEEP_FINISHED),
            *tokens,
        )
        return [
            Grant(step_id, token, int(attempts))
            for step_id, token, attempts in zip(
                granted[::3], granted[1::3], granted[2::3], strict=True
            )
        ]

    def start(self, step_id: str, token: str, caller: str) -> Run | None:
        """The right to run; None for a message whose token is not the newest.

        `caller` is one execution's own name, so that only its own repeated call is a yes again.
        """
        found = scripts.run(self._redis, "start", step_id, token, caller, _ms(self.leases.running))
        if not found:
            return None
        queue, lane, job, priority, attempt, breaks, submitted, held_up = found
        step = Step(step_id, Queue(queue), lane, job, Priority(int(priority)))
        return Run(
            step,
            token,
            caller,
            int(attempt),
            int(breaks),
            held_up=int(held_up) / 1000,
            submitted=int(submitted) / 1000,
        )

    def beat(self, run: Run) -> Verdict:
        """Extends the lease, or says that it is gone or that the step is withdrawn."""
        answer = scripts.run(
            self._redis,
            "beat",
            run.step.id,
            run.token,
            run.caller,
            _ms(self.leases.running),
            *_identity(run),
        )
        return Verdict(answer)

    def hand_over(self, run: Run, seconds: float, *, holds_on: bool = False) -> Verdict:
        """The step goes on elsewhere and beats no more: so long, it is not granted again.

        It keeps its place in its lane, but none of a worker's; `finish` ends it. To be repeated
        for a server that has lost it. One that `holds_on` keeps its place after that time too: no
        other goes before it.
        """
        answer = scripts.run(
            self._redis,
            "hand_over",
            run.step.id,
            run.token,
            run.caller,
            max(0, _ms(seconds)),
            int(holds_on),
            _ms(_KEEP_FINISHED),
            *_identity(run),
        )
        return Verdict(answer)

    def finish(
        self,
        run: Run,
        end: StepEnd,
        *,
        reason: str = "",
        delay: float = 0,
        counted: bool = True,
        trouble: Trouble | None = None,
        broken: bool = False,
        held_up: bool = False,
    ) -> bool:
        """Ends a run and frees its place; False if the step is not this run's any more.

        Args:
            delay: seconds until the step is waiting again (`RETRYING`).
            counted: whether this run counts as an attempt.
            trouble: not the step's own, but that of what its lane leads to.
            broken: whether the body did not foresee this end; counted as a worker's death is.
            held_up: whether it was the storage's fault or the machine's, not the step's.
        """
        answer = scripts.run(
            self._redis,
            "finish",
            run.step.id,
            run.token,
            end,
            reason,
            _ms(delay),
            int(counted),
            trouble.shut_after if trouble else 0,
            _ms(trouble.patience) if trouble else 0,
            int(broken),
            int(held_up),
            _ms(_KEEP_FINISHED),
            *_identity(run),
        )
        return bool(answer == "finished")

    def hasten(self, step_id: str) -> bool:
        """What a step waited for has come: one that was due later waits for its place now."""
        return bool(scripts.run(self._redis, "hasten", step_id))

    def recovered(self, lane: str) -> None:
        """A lane whose steps failed is well, though none is done yet."""
        scripts.run(self._redis, "recovered", lane)

    def open(self) -> None:
        """Skips the wait that a new server begins with: for a caller who knows nothing runs."""
        scripts.run(self._redis, "open")

    def epoch(self) -> str:
        """Changes when the server was restarted or emptied."""
        return str(self._redis.hmget(keys.EPOCH, "run_id", "since"))

    def announce_places(self, worker: str, places: Mapping[Queue, int]) -> None:
        """How many steps of each queue this worker runs at once; to be repeated often."""
        flat = [value for item in places.items() for value in item]
        scripts.run(self._redis, "announce_places", worker, _ms(_PLACES_LAST), *flat)

    def set_caps(self, caps: Mapping[str, int], as_of: float = 0) -> bool:
        """How many steps of a queue or lane may run at once, over all workers; replaces all.

        `as_of` is the POSIX time of the settings that say so: False if newer ones have spoken.
        """
        flat = [value for item in caps.items() for value in item]
        return bool(scripts.run(self._redis, "set_caps", _ms(as_of), *flat))

    def set_paused(self, lane: str, paused: bool, as_of: float) -> bool:
        """Whether nothing of a lane is granted; False if a newer word on it (`as_of`) is known."""
        return bool(scripts.run(self._redis, "set_paused", lane, int(paused), _ms(as_of)))

    def probe_now(self, lane: str) -> None:
        """A lane that is shut is tried as soon as there is a place."""
        scripts.run(self._redis, "probe_now", lane)

    def last_done(self, lane: str) -> float | None:
        """When a step of a lane was done last (POSIX time); None if nothing is known."""
        found = self._redis.hget(keys.LANE + lane, "done_at")
        return None if found is None else int(found) / 1000

    def pace(self, destination: str, per_second: float) -> float:
        """0 when an instance may start to this destination now, else seconds to wait and ask."""
        wait = scripts.run(self._redis, "pace", destination, 1000 / per_second, 1)
        return float(wait) / 1000


def _identity(run: Run) -> tuple[str | int, ...]:
    """What a server that lost the step must be told of it."""
    step = run.step
    return step.queue, step.lane, step.job, int(step.priority), run.attempt, run.breaks


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
