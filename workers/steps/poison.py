"""A step that comes to no end of its own: what it was for ends here, on disk, with a reason."""

import structlog
from pydantic import ValidationError

from shared.delivery import INSTANCE_SUFFIX
from shared.destination_state import DestinationState
from shared.job import DestinationEnd, Job
from shared.job_folder import JobFolder
from shared.job_state import JobState
from shared.locked_file import LockedFile
from shared.quarantine import quarantine
from shared.registry.step import Queue, Step
from workers.advance import advance
from workers.context import WorkerContext
from workers.exports.sent_log import SentLog
from workers.exports.store_status import DELIVERED, Verdict
from workers.steps.outcome import Done, Failed, NothingToDo, Outcome, TryAgain

log = structlog.get_logger()

_BUSY_DELAY = 2.0  # seconds


def end_poison(context: WorkerContext, step: Step, reason: str) -> Outcome:
    """A job fails, or its export does; a delivery that cannot be dispatched goes to quarantine.

    Raises:
        OSError: the storage failed, and nothing has ended.
    """
    if step.queue is Queue.DISPATCH:
        return _quarantine(context, step.id, reason)
    if not step.job:  # a probe: without it the exports find out by themselves
        log.error("probe given up", lane=step.lane, reason=reason)
        return Done()
    folder = JobFolder(context.tree, step.job)
    log.error("step given up", job=step.job, reason=reason)
    try:
        if step.queue is Queue.PIPELINE:
            _fail_job(context, folder, reason)
        else:
            _fail_export(context, folder, step.id.removeprefix(f"{step.job}."), reason)
    except ValidationError:
        reason = "its state.json is damaged"
        context.records.move(step.job, JobState.FAILED, f"failed: {reason}", reason=reason)
    return Failed(reason)


def _quarantine(context: WorkerContext, delivery_id: str, reason: str) -> Outcome:
    tree = context.tree
    for folder in (tree.committed / delivery_id, tree.deliveries / delivery_id):
        if not folder.exists():
            continue
        held = LockedFile.try_lock(folder / "dispatch.lock")
        if held is None:
            return TryAgain(_BUSY_DELAY, "another dispatch of it is under way", counted=False)
        with held:
            quarantine(tree, folder, reason)
        log.error("delivery quarantined", delivery=delivery_id, reason=reason)
        return Failed(reason)
    return NothingToDo()


def _fail_job(context: WorkerContext, folder: JobFolder, reason: str) -> None:
    def fail(job: Job) -> Job:
        if job.state is not JobState.QUEUED:
            return job
        return job.model_copy(update={"failure": reason})

    advance(context, folder.update(fail), f"failed: {reason}")


def _fail_export(context: WorkerContext, folder: JobFolder, name: str, reason: str) -> None:
    delivered, warnings, total = _sent(folder, name)
    end = DestinationEnd(
        state=DestinationState.FAILED,
        delivered=delivered,
        warnings=warnings,
        failed=max(0, total - delivered),
        reason=reason,
    )

    def fail(job: Job) -> Job:
        return job.with_destination(name, end) if name in job.open_destinations else job

    advance(context, folder.update(fail), f"{name}: {end.state}: {reason}")


def _sent(folder: JobFolder, name: str) -> tuple[int, int, int]:
    """Delivered, those of them with a warning, and all: as far as it can still be told."""
    job = folder.read()
    result = job.result
    total = (
        sum(1 for _ in (folder.path / result.folder).rglob(f"*{INSTANCE_SUFFIX}")) if result else 0
    )
    try:
        sent_log = SentLog.of(folder, job, name)
    except (ValueError, KeyError):  # it may be the log that the step broke on
        sent_log = None
    if sent_log is None:
        return 0, 0, total
    with sent_log:
        return sent_log.count(*DELIVERED), sent_log.count(Verdict.WARNING), total
