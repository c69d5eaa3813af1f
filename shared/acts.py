"""What a person does to a job: retry, cancel, hold, release.

The disk is the truth: `state.json` is changed under its lock, then the gate and the record are
told. Whoever is killed in between has done it: the reconciler tells the rest.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from pydantic import ValidationError
from redis import Redis

from shared.announce import leases
from shared.destination_state import DestinationState
from shared.ids import is_id
from shared.job import Job
from shared.job_folder import JobFolder
from shared.job_state import FINISHED, JobState
from shared.job_steps import next_steps
from shared.mirror import mirror
from shared.person import person
from shared.registry.gate import Gate
from shared.registry.jobs import DestinationProgress, JobRecords
from shared.settings import Settings
from shared.tree import StorageTree


class ActError(Exception):
    """It was not done; the text says why."""


class NoSuchJobError(ActError):
    """It never was, or it has been removed."""


class WrongStateError(ActError):
    """The job is in a state that this act does not lead out of."""


class StorageError(ActError):
    """The storage is away or takes no change, or the job's `state.json` is damaged."""


class Acts:
    """What acts are made of."""

    def __init__(self, tree: StorageTree, gate: Gate, records: JobRecords, who: str) -> None:
        self._tree = tree
        self._gate = gate
        self._records = records
        self._who = who

    @classmethod
    def of(cls, settings: Settings, redis: Redis, who: str = "") -> Self:
        """As the command or a notebook needs it; `who` is in the history, by default this user."""
        return cls(
            StorageTree(settings.storage.root),
            Gate(redis, leases(settings)),
            JobRecords(redis),
            who or person(),
        )

    def _wake(self, job_id: str, change: Callable[[Job], Job], event: str) -> Job:
        """As `_change`; before the disk says that the job goes on, its steps can be submitted.

        A step that has ended is remembered for a day, and who dies after the disk was changed
        leaves it to a reconciler, which only submits.
        """

        def forget_ends(job: Job) -> Job:
            changed = change(job)
            for step in set(next_steps(changed)) - set(next_steps(job)):
                self._gate.withdraw(step.id)
            return changed

        return self._change(job_id, forget_ends, event)

    def _change(self, job_id: str, change: Callable[[Job], Job], event: str) -> Job:
        opened: set[str] = set()
        added: set[str] = set()
        was_done = False
        said = event

        def note(old: Job) -> Job:
            nonlocal said, was_done
            new = change(old)
            added.update(set(new.export_to) - set(old.export_to))
            opened.update(new.open_destinations)
            if next_steps(new):  # else those that were under way are stopped, and open again
                opened.difference_update(old.open_destinations)
            said = event if new != old else ""
            if was_done := old.state is JobState.DONE:
                self._lead_out_of_done(new, said)
            return new

        with self._storage(job_id):
            job = JobFolder(self._tree, job_id).update(note)
        self._records.reopen_destinations(job_id, opened - added)
        for name in added:
            pending = DestinationProgress(DestinationState.PENDING)
            self._records.set_destination(job_id, name, pending)
        if was_done:  # again: by the disk as it was a reconciler may have led it back
            self._lead_out_of_done(job, said)
        mirror(self._records, self._gate, job, said, self._who)
        return job

    def _lead_out_of_done(self, job: Job, event: str) -> None:
        """Only here, and before the disk: a reconciler looks at no job that is done in Redis."""
        self._records.move(job.id, job.state, event, who=self._who, sources={JobState.DONE})

    @contextmanager
    def _storage(self, job_id: str) -> Iterator[None]:
        if not is_id(job_id):
            raise NoSuchJobError(f"{job_id!r} is no job's id")
        try:
            yield
        except FileNotFoundError as error:
            if not self._tree.jobs.is_dir():
                raise StorageError(f"no storage is at {self._tree.root}") from error
            raise NoSuchJobError("there is no such job, or not any more") from error
        except ValidationError as error:
            raise StorageError("its state.json is damaged") from error
        except OSError as error:
            raise StorageError(f"the storage takes no change: {error.strerror}") from error


class JobActs(Acts):
    """Each act may be repeated, and returns the job as the disk then has it.

    Raises:
        ActError: nothing was done.
        redis.RedisError: Redis is away. A cancel or hold that reached the disk stands, and is
            carried out once Redis is back; so does a retry or release, which asks Redis before.
    """

    def retry(self, job_id: str) -> Job:
        """A failed job resumes at the step that failed.

        The pipeline's attempts count anew. An export sends what it has not delivered.
        """

        def change(job: Job) -> Job:
            if job.state is not JobState.FAILED:
                raise WrongStateError(f"it is {job.state}, not failed")
            if job.failure:
                return job.with_attempts_forgiven(JobFolder(self._tree, job_id).attempts())
            return job.with_destinations_reopened(job.failed_destinations)

        return self._wake(job_id, change, "retried")

    def release(self, job_id: str) -> Job:
        """A held job resumes where it was."""

        def change(job: Job) -> Job:
            if job.state is not JobState.HELD:
                raise WrongStateError(f"it is {job.state}, not held")
            return job.model_copy(update={"held": False})

        return self._wake(job_id, change, "released")

    def hold(self, job_id: str) -> Job:
        """Nothing of the job goes on until it is released; a run of it ends, and is no attempt."""

        def change(job: Job) -> Job:
            if job.state in FINISHED:
                raise WrongStateError(f"it is {job.state}, and nothing of it goes on")
            return job.model_copy(update={"held": True})

        return self._change(job_id, change, "held")

    def cancel(self, job_id: str) -> Job:
        """The job ends here, whatever it still waits for; what was delivered stays so."""

        def change(job: Job) -> Job:
            if job.state is JobState.DONE:
                raise WrongStateError("it is done already")
            if job.cancelled:
                return job
            # A failed one is dated anew: it may be removed only some time after this.
            return job.model_copy(update={"cancelled": True, "ended": None})

        return self._change(job_id, change, "cancelled")
