"""Engines that work for nothing are told to stop, as far as their pipelines say how.

Nobody wants an attempt any more whose job was cancelled or held, or whose deadline has passed.
"""

from threading import Thread

import structlog
from redis import RedisError

from shared.job import Job
from shared.job_folder import JobFolder
from shared.locked_file import LockedFile
from shared.mirror import MUST_NOT_RUN
from shared.registry.jobs import Entry
from shared.settings.sections import PipelineSection
from workers.attempts.handover import EngineAttempt
from workers.context import WorkerContext
from workers.pipelines.kind import NotStoppedError, StopsEngines
from workers.pipelines.kinds import kind_of

log = structlog.get_logger()

_DELAYS = (0, 1, 5, 25)  # seconds before each try


def stop_engines(context: WorkerContext, folder: JobFolder, job: Job) -> list[Thread]:
    """Tells those of a job, in threads of their own: an engine may be away, or slow.

    Raises:
        OSError: the storage failed; to be called again.
    """
    section = context.settings.pipelines.get(job.pipeline)
    if section is None or not section.stops_engines:
        return []
    _withdraw_latest(folder, job)
    started = []
    for called in EngineAttempt.all(folder):
        if not called.works_for_nothing:
            continue
        lock = LockedFile.try_lock(called.attempt.path / "stop.lock")
        if lock is not None:  # else another worker is at it
            arguments = (context, section, job, called, lock)
            thread = Thread(target=_stop, args=arguments, name=f"stop {job.id}", daemon=True)
            thread.start()
            started.append(thread)
    return started


def _withdraw_latest(folder: JobFolder, job: Job) -> None:
    """An attempt that a person ended is none; not while its engine is just being called."""
    if job.state not in MUST_NOT_RUN or job.result or job.failure:
        return
    called = EngineAttempt.latest(folder, job)
    lock = folder.try_run_lock() if called else None
    if called and lock:
        with lock:
            called.withdraw()


def _stop(
    context: WorkerContext,
    section: PipelineSection,
    job: Job,
    called: EngineAttempt,
    lock: LockedFile,
) -> None:
    kind = kind_of(section)
    assert isinstance(kind, StopsEngines)
    what, reason = f"the engine of attempt {called.attempt.number}", ""
    with lock:
        for delay in _DELAYS:
            if context.stopping.wait(delay) or not called.works_for_nothing:
                return
            try:
                kind.stop(section, job, called)
            except NotStoppedError as error:
                reason = str(error)
                continue
            log.info("engine told to stop", job=job.id, attempt=called.attempt.number)
            called.told_to_stop()
            _note(context, job.id, Entry(f"{what} was told to stop", context.who))
            return
    log.error("engine not told to stop", job=job.id, reason=reason)
    _note(context, job.id, Entry(f"{what} could not be told to stop", context.who, error=reason))


def _note(context: WorkerContext, job_id: str, entry: Entry) -> None:
    """In the history; the job stays where it is."""
    try:
        state = context.hasty_records.states([job_id]).get(job_id)
        if state is not None:
            context.hasty_records.move(job_id, state, entry, sources={state})
    except RedisError as error:
        log.warning("history not written", job=job_id, error=type(error).__name__)
