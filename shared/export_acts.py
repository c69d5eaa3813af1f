"""What a person does to the exports of a job: begin, retry, discard, redirect."""

from collections.abc import Collection

from shared.acts import Acts, WrongStateError
from shared.destination_state import DestinationState
from shared.job import Job
from shared.job_folder import JobFolder
from shared.job_state import FINISHED, JobState
from shared.job_steps import export_step
from shared.mirror import MUST_NOT_RUN
from shared.registry.step import Step


class ExportActs(Acts):
    """Each act returns the job as the disk then has it.

    Without a destination those are meant whose export has failed. One to be discarded or redirected
    may, where it is named, also wait or be under way; it ends before its next instance.

    Raises:
        ActError: nothing was done.
        redis.RedisError: Redis is away. What has reached the disk stands, and is carried out once
            Redis is back.
    """

    def export(self, job_id: str, destination: str) -> Job:
        """A job's result goes to a destination: a further one, or all of it once more."""

        def change(job: Job) -> Job:
            if job.result is None or job.state not in (*FINISHED, JobState.EXPORTING):
                raise WrongStateError(f"it is {job.state}, and has no result that could be sent")
            if job.cancelled:
                raise WrongStateError("it is cancelled")
            if destination in job.open_destinations:
                raise WrongStateError(f"its export to {destination!r} is under way")
            if JobFolder(self._tree, job_id).is_sent_to(destination):
                raise WrongStateError(f"a sender to {destination!r} is still at it")
            return job.exported_whole(destination)

        return self._wake(job_id, change, f"to be exported to {destination}")

    def retry(self, job_id: str, destination: str | None = None) -> Job:
        """A further round of what has failed: what was not delivered is sent again."""

        def change(job: Job) -> Job:
            if job.state in MUST_NOT_RUN:
                raise WrongStateError(f"it is {job.state}, and nothing of it goes on")
            names = job.failed_destinations if destination is None else (destination,)
            failed = set(names) & set(job.failed_destinations)
            if not failed or failed != set(names):
                raise WrongStateError(_nothing(job, destination))
            return job.with_destinations_reopened(names)

        return self._wake(job_id, change, _event("retried", destination))

    def discard(self, job_id: str, destination: str | None = None) -> Job:
        """It is not sent there any more; a job with no other failure is done."""
        reason = f"discarded by {self._who}"

        def change(job: Job) -> Job:
            names = _meant(job, destination)
            return job.with_destinations_discarded(names, reason)

        job = self._change(job_id, change, _event("discarded", destination))
        self._stop(job)
        return job

    def redirect(self, job_id: str, to: str, destination: str | None = None) -> Job:
        """The whole result goes to another destination in the place of this one."""
        reason = f"redirected to {to} by {self._who}"

        def change(job: Job) -> Job:
            names = _meant(job, destination)
            if to in names:
                raise WrongStateError(f"{to!r} is where it went")
            return job.also_exported_to(to).with_destinations_discarded(names, reason)

        job = self._wake(job_id, change, _event(f"redirected to {to}", destination))
        self._stop(job)
        return job

    def _stop(self, job: Job) -> None:
        """Ends the steps of what is discarded; one that is missed finds nothing to do."""
        for step in _discarded(job):
            self._gate.withdraw(step.id)


def _event(what: str, destination: str | None) -> str:
    return f"{what}: {destination}" if destination else what


def _meant(job: Job, destination: str | None) -> Collection[str]:
    if job.cancelled or job.result is None:
        raise WrongStateError(f"it is {job.state}, and nothing of it is exported")
    names = job.failed_destinations if destination is None else (destination,)
    may_end = {*job.failed_destinations, *job.open_destinations}
    if not names or not may_end.issuperset(names):
        raise WrongStateError(_nothing(job, destination))
    return names


def _nothing(job: Job, destination: str | None) -> str:
    if destination is None:
        return f"it is {job.state}, and no export of it has failed"
    if destination not in job.export_to:
        return f"it is not exported to {destination!r}"
    end = job.destinations.get(destination)
    how = "has not ended" if end is None else f"is {end.state}"
    return f"its export to {destination!r} {how}"


def _discarded(job: Job) -> list[Step]:
    return [
        export_step(job, name)
        for name, end in job.destinations.items()
        if end.state is DestinationState.DISCARDED
    ]
