"""The pipeline step: one attempt at a time, until one succeeds or all are used up."""

import contextlib
import os
import time
from functools import partial
from pathlib import Path

from shared.durable import sync_directory, sync_file
from shared.job import Job, JobState, Result
from shared.job_folder import Attempt, JobFolder
from shared.locked_file import LockedFile
from shared.mirror import MUST_NOT_RUN
from shared.registry.jobs import Entry
from shared.result_files import result_files
from shared.settings.sections import PipelineSection
from workers.advance import advance
from workers.attempt_judged import judged, put_off
from workers.backoff import full_jitter
from workers.context import WorkerContext
from workers.lease import Lease, StepWithdrawnError, StoppingError
from workers.outcome import Done, Failed, Outcome, TryAgain
from workers.pipelines.kind import AttemptFailed, AttemptRun, NotNow, Succeeded
from workers.pipelines.kinds import kind_of
from workers.pipelines.leftovers import end_leftovers
from workers.progress_report import report_progress
from workers.tried import Try

_BUSY_DELAY = 2.0  # seconds
_FIRST_DELAY, _LONGEST_DELAY = 5.0, 300.0  # seconds between attempts


def run_pipeline(context: WorkerContext, lease: Lease) -> Outcome:
    """The body of a pipeline step."""
    folder = JobFolder(context.tree, lease.run.step.job)
    worker_lock = folder.try_worker_lock()
    if worker_lock is None:
        return TryAgain(_BUSY_DELAY, "an earlier attempt still runs", counted=False)
    with worker_lock:
        lock = folder.try_run_lock()
        if lock is None:
            end_leftovers(folder.id)  # if they run here; on another machine only its workers can
            reason = "what a lost worker left behind still runs"
            return TryAgain(_BUSY_DELAY, reason, counted=False)
        with lock:
            return _run(context, lease, folder, lock)


def _run(context: WorkerContext, lease: Lease, folder: JobFolder, lock: LockedFile) -> Outcome:
    job = folder.read()
    if job.state in MUST_NOT_RUN:
        raise StepWithdrawnError
    if job.state is not JobState.QUEUED:
        advance(context, job)
        return Done()
    section = _section(context, job)
    if section is None:
        return _fail(context, folder, f"no pipeline is named {job.pipeline!r} any more")
    if folder.attempts() - job.attempts_forgiven >= section.max_attempts:
        return _fail(context, folder, "the last attempt was lost with its worker")
    attempt = folder.new_attempt()
    number = folder.attempts() - job.attempts_forgiven
    tried = Try(context.who, number)
    context.records.move(
        job.id,
        JobState.RUNNING,
        tried.begins(f"attempt {number} started"),
        attempt=number,
        reason="",
        retry_at="",
        progress="",
    )
    tell = partial(report_progress, context, job.id)
    run = AttemptRun(job, folder, attempt, lock, lease, tell)
    try:
        end = kind_of(section).trigger(section, run)
    except StoppingError:
        folder.uncount(attempt)
        interrupted = tried.ends(f"attempt {number} interrupted")
        context.records.move(job.id, JobState.QUEUED, interrupted)
        raise
    except StepWithdrawnError:
        folder.uncount(attempt)
        advance(context, folder.read(), tried.ends(f"attempt {number} interrupted"))
        raise
    end = judged(context, folder, attempt, end)
    match end:
        case Succeeded(result):
            return _succeed(context, folder, attempt, result, tried)
        case AttemptFailed(reason, final=True):
            return _fail(context, folder, reason, tried)
        case AttemptFailed(reason):
            return _try_again(context, folder, section, reason, tried)
        case NotNow(reason, give_up_after):
            waited = put_off(folder, attempt)
            if waited >= give_up_after:
                return _fail(context, folder, f"given up after {waited:.0f} s: {reason}", tried)
            delay = full_jitter(lease.run.attempt, _FIRST_DELAY, _LONGEST_DELAY)
            _tell_retry(context, folder, "not now", delay, reason, tried)
            return TryAgain(delay, reason)


def _section(context: WorkerContext, job: Job) -> PipelineSection | None:
    if job.pipeline not in context.settings.pipelines:
        context.live.reread()
    return context.settings.pipelines.get(job.pipeline)


def _succeed(
    context: WorkerContext, folder: JobFolder, attempt: Attempt, result: str, tried: Try
) -> Outcome:
    if folder.path / result != folder.input:
        _sync_tree(folder.path / result)
    made = Result(attempt=attempt.number, folder=result)

    def keep_first(job: Job) -> Job:
        return job if job.result else job.model_copy(update={"result": made})

    job = folder.update(keep_first)
    advance(context, job, tried.ends(f"attempt {attempt.number} succeeded"))
    return Done()


def _try_again(
    context: WorkerContext, folder: JobFolder, section: PipelineSection, reason: str, tried: Try
) -> Outcome:
    number = tried.attempt
    if number >= section.max_attempts:
        last = f"{reason} (attempt {number} of {section.max_attempts})"
        return _fail(context, folder, last, tried)
    delay = full_jitter(number, _FIRST_DELAY, _LONGEST_DELAY)
    _tell_retry(context, folder, f"attempt {number} failed", delay, reason, tried)
    return TryAgain(delay, reason)


def _tell_retry(
    context: WorkerContext, folder: JobFolder, what: str, delay: float, reason: str, tried: Try
) -> None:
    context.records.move(
        folder.id,
        JobState.QUEUED,
        tried.ends(f"{what}, again in {delay:.0f} s", reason),
        reason=reason,
        retry_at=round((time.time() + delay) * 1000),
    )


def _fail(
    context: WorkerContext, folder: JobFolder, reason: str, tried: Try | None = None
) -> Outcome:
    job = folder.update(lambda job: job.model_copy(update={"failure": reason}))
    entry = tried.ends("failed", reason) if tried else Entry("failed", context.who, error=reason)
    advance(context, job, entry)
    return Failed(reason)


def _sync_tree(folder: Path) -> None:
    """A result must outlive a power cut before it counts: programs rarely sync what they write."""
    for path in result_files(folder):
        with contextlib.suppress(PermissionError):  # a container's own; never one to be exported
            sync_file(path)
    for parent, _, _ in os.walk(folder):
        sync_directory(Path(parent))
