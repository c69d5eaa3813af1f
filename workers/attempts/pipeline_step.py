"""The pipeline step: one attempt at a time, until one succeeds or all are used up."""

import contextlib
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from pydantic import ValidationError

from shared.job import Job
from shared.job_folder import Attempt, JobFolder
from shared.job_state import JobState
from shared.locked_file import LockedFile
from shared.mirror import MUST_NOT_RUN
from shared.registry.jobs import Entry
from shared.settings.fields import format_duration
from shared.settings.sections import PipelineSection
from workers.advance import advance
from workers.attempts.attempt_end import (
    FIRST_DELAY,
    LONGEST_DELAY,
    end_attempt,
    fail_job,
    tell_retry,
)
from workers.attempts.attempt_judged import changed_before, judged, put_off
from workers.attempts.callback import end_as_told, failed_as_told
from workers.attempts.engine_stop import stop_engines
from workers.attempts.handover import Answer, EngineAttempt
from workers.attempts.progress_report import report_progress
from workers.context import WorkerContext
from workers.pipelines.kind import (
    AttemptEnd,
    AttemptFailed,
    AttemptRun,
    CallAgain,
    NotNow,
    Succeeded,
    Taken,
)
from workers.pipelines.kinds import kind_of
from workers.pipelines.leftovers import end_leftovers
from workers.steps.backoff import full_jitter
from workers.steps.lease import Lease, StepWithdrawnError, StoppingError
from workers.steps.outcome import Done, HandedOver, Outcome, TryAgain
from workers.steps.surroundings import is_elsewhere
from workers.steps.tried import Try

_BUSY_DELAY = 2.0  # seconds
_TELLING = 10.0  # seconds that an engine is waited for which is to be told something


class _Work(NamedTuple):
    """What a run of the step has at hand once it holds the job's locks."""

    context: WorkerContext
    section: PipelineSection
    job: Job
    folder: JobFolder
    lock: LockedFile
    lease: Lease
    number: int  # of the newest attempt, of those that no person has forgiven


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
            return _work(context, lease, folder, lock)


def _work(context: WorkerContext, lease: Lease, folder: JobFolder, lock: LockedFile) -> Outcome:
    job = folder.read()
    if job.state in MUST_NOT_RUN:
        raise StepWithdrawnError
    if job.state is not JobState.QUEUED:
        advance(context, job)
        return Done()
    section = context.pipeline(job.pipeline)
    if section is None:
        return fail_job(context, folder, f"no pipeline is named {job.pipeline!r} any more")
    number = folder.attempts() - job.attempts_forgiven
    work = _Work(context, section, job, folder, lock, lease, number)
    called = EngineAttempt.latest(folder, job)
    outcome = None if called is None else _go_on(work, called)
    return outcome or _next_attempt(work)


def _go_on(work: _Work, called: EngineAttempt) -> Outcome | None:
    """With an attempt that an engine was, or may have been, called for; None if it is over."""
    answer = called.answer or _given_up(work, called)
    if answer is None and called.handover.is_taken:
        called.still_taken(work.lease.run)
        return HandedOver(called.handover.seconds_left)
    if answer is None:
        return _run(work, called.attempt, work.number, "called again")
    failed = failed_as_told(answer)
    if failed is None or failed.final or work.number >= work.section.max_attempts:
        return _carry_out(work, called)
    if not answer.carried_out:
        entry = Entry(f"attempt {work.number} failed", answer.who, work.number, failed.in_history)
        work.context.records.move(work.job.id, JobState.QUEUED, entry)
        called.carried_out()
    return None


def _given_up(work: _Work, called: EngineAttempt) -> Answer | None:
    """Once its deadline is over. Its engine hears so before it is called again."""
    answer = called.given_up(work.context.who)
    if answer is not None:
        for telling in stop_engines(work.context, work.folder, work.job):
            telling.join(_TELLING)
    return answer


def _next_attempt(work: _Work) -> Outcome:
    if work.number >= work.section.max_attempts:
        return fail_job(work.context, work.folder, "the last attempt was lost with its worker")
    return _run(work, work.folder.new_attempt(), work.number + 1, "started")


def _run(work: _Work, attempt: Attempt, number: int, how: str) -> Outcome:
    called = EngineAttempt(work.folder, attempt)
    try:
        return _run_attempt(work, called, number, how)
    except OSError as error:
        if is_elsewhere(work.context, error) and not called.was_begun:
            _forgive(work.folder, attempt)
        raise


def _run_attempt(work: _Work, called: EngineAttempt, number: int, how: str) -> Outcome:
    context, folder, attempt = work.context, work.folder, called.attempt
    tried = Try(context.who, number)
    context.records.move(
        folder.id,
        JobState.RUNNING,
        tried.begins(f"attempt {number} {how}"),
        attempt=number,
        reason="",
        retry_at="",
        progress="",
    )
    if changed := changed_before(work.job, folder):
        return _end(work, called, changed, tried)
    tell = partial(report_progress, context, folder.id)
    run = AttemptRun(work.job, folder, attempt, work.lock, work.lease, tell)
    try:
        end = kind_of(work.section).trigger(work.section, run)
    except StoppingError:
        _uncount(called)
        interrupted = tried.ends(f"attempt {number} interrupted")
        context.records.move(folder.id, JobState.QUEUED, interrupted)
        if called.was_begun:
            return TryAgain(0, "the worker was stopped", holds_on=True)
        raise
    except StepWithdrawnError:
        _uncount(called)
        advance(context, folder.read(), tried.ends(f"attempt {number} interrupted"))
        raise
    if called.answer is not None:  # its engine told before it answered the call
        return _carry_out(work, called)
    return _end(work, called, judged(context, work.job, folder, attempt, end), tried)


def _end(work: _Work, called: EngineAttempt, end: AttemptEnd, tried: Try) -> Outcome:
    context, folder, attempt = work.context, work.folder, called.attempt
    match end:
        case Succeeded() | AttemptFailed():
            return end_attempt(context, folder, attempt, end, tried, work.section.max_attempts)
        case NotNow(reason, give_up_after):
            waited = put_off(folder, attempt)
            if waited >= give_up_after:
                reason = f"given up after {waited:.0f} s: {reason}"
                return fail_job(context, folder, reason, tried)
            return _later(work, "not now", reason, None, tried)
        case CallAgain(reason, delay, uncertain):
            what = f"attempt {tried.attempt} to be called"
            return replace(_later(work, what, reason, delay, tried), holds_on=uncertain)
        case Taken(deadline):
            called.taken(work.lease.run, deadline, keep_token=work.section.stops_engines)
            told = f"attempt {tried.attempt} handed over, for at most {format_duration(deadline)}"
            context.records.move(folder.id, JobState.RUNNING, tried.begins(told))
            return HandedOver(deadline)


def _carry_out(work: _Work, called: EngineAttempt) -> Outcome:
    outcome = end_as_told(work.context, work.job, called)
    called.carried_out()
    return outcome


def _uncount(called: EngineAttempt) -> None:
    """An engine may be at work in the folder, and knows the attempt by its number: it stays."""
    if not called.was_begun:
        called.folder.uncount(called.attempt)


def _forgive(folder: JobFolder, attempt: Attempt) -> None:
    """It ended by the storage's fault, and counts for none, unless it is the result already."""
    with contextlib.suppress(OSError, ValidationError):
        if folder.read().result is None:
            folder.put_off(attempt)


def _later(work: _Work, what: str, reason: str, delay: float | None, tried: Try) -> TryAgain:
    if delay is None:
        delay = full_jitter(work.lease.run.attempt, FIRST_DELAY, LONGEST_DELAY)
    tell_retry(work.context, work.folder, what, delay, reason, tried)
    return TryAgain(delay, reason)
