"""What an attempt's end means for its job: a result, another attempt, or a failure."""

import contextlib
import os
import time
from pathlib import Path

from shared.durable import sync_directory, sync_file
from shared.job import Job, Result
from shared.job_folder import Attempt, JobFolder
from shared.job_state import JobState
from shared.registry.jobs import Entry
from shared.result_files import result_files
from workers.advance import advance
from workers.attempts.result_manifest import write_manifest
from workers.context import WorkerContext
from workers.pipelines.kind import AttemptFailed, Succeeded, with_told
from workers.steps.backoff import full_jitter
from workers.steps.outcome import Done, Failed, Outcome, TryAgain
from workers.steps.tried import Try

FIRST_DELAY, LONGEST_DELAY = 5.0, 300.0  # seconds between attempts


def end_attempt(
    context: WorkerContext,
    folder: JobFolder,
    attempt: Attempt,
    end: Succeeded | AttemptFailed,
    tried: Try,
    max_attempts: int,
) -> Outcome:
    """Says it on disk and in the job's record; the outcome is for the gate.

    Raises:
        OSError: the storage failed.
    """
    match end:
        case Succeeded(result, told):
            return _succeed(context, folder, attempt, result, told, tried)
        case AttemptFailed(reason, final=True, told=told):
            return fail_job(context, folder, reason, tried, told)
        case AttemptFailed(reason, told=told) if tried.attempt >= max_attempts:
            last = f"{reason} (attempt {tried.attempt} of {max_attempts})"
            return fail_job(context, folder, last, tried, told)
        case AttemptFailed(reason) as failed:
            delay = full_jitter(tried.attempt, FIRST_DELAY, LONGEST_DELAY)
            what = f"attempt {tried.attempt} failed"
            tell_retry(context, folder, what, delay, reason, tried, failed.in_history)
            return TryAgain(delay, reason)


def fail_job(
    context: WorkerContext,
    folder: JobFolder,
    reason: str,
    tried: Try | None = None,
    told: str = "",
) -> Outcome:
    job = folder.update(lambda job: job.model_copy(update={"failure": reason}))
    error = with_told(reason, told)
    entry = tried.ends("failed", error) if tried else Entry("failed", context.who, error=error)
    advance(context, job, entry)
    return Failed(reason)


def _succeed(
    context: WorkerContext,
    folder: JobFolder,
    attempt: Attempt,
    result: str,
    told: str,
    tried: Try,
) -> Outcome:
    if folder.path / result != folder.input:
        _sync_tree(folder.path / result)
    made = Result(attempt=attempt.number, folder=result)
    job = folder.read()
    if job.export_to and job.result is None:
        write_manifest(folder, job, made)

    def keep_first(job: Job) -> Job:
        return job if job.result else job.model_copy(update={"result": made})

    job = folder.update(keep_first)
    advance(context, job, tried.ends(with_told(f"attempt {attempt.number} succeeded", told)))
    return Done()


def tell_retry(
    context: WorkerContext,
    folder: JobFolder,
    what: str,
    delay: float,
    reason: str,
    tried: Try,
    in_history: str = "",
) -> None:
    """In the job's record; `in_history` goes into its history in the reason's place."""
    context.records.move(
        folder.id,
        JobState.QUEUED,
        tried.ends(f"{what}, again in {delay:.0f} s", in_history or reason),
        reason=reason,
        retry_at=round((time.time() + delay) * 1000),
    )


def _sync_tree(folder: Path) -> None:
    """A result must outlive a power cut before it counts: programs rarely sync what they write."""
    for path in result_files(folder):
        with contextlib.suppress(PermissionError):  # a container's own; never one to be exported
            sync_file(path)
    for parent, _, _ in os.walk(folder):
        sync_directory(Path(parent))
