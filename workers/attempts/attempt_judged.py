"""What is left of an attempt when its program is through: a result, if it can be exported."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from shared.durable import sync_file
from shared.job import Job
from shared.job_folder import Attempt, JobFolder
from shared.result_files import BadResult, bad_results
from workers.attempts.changed_input import changed_instances
from workers.context import WorkerContext
from workers.pipelines.kind import AttemptEnd, AttemptFailed, NotNow, Succeeded

log = structlog.get_logger()

_PROBE = 1 << 20  # bytes that a disk takes which is not full


def changed_before(job: Job, folder: JobFolder) -> AttemptFailed | None:
    """What becomes of an attempt whose input is not any more what was received."""
    return _changed(job, folder, "before it ran")


def judged(
    context: WorkerContext, job: Job, folder: JobFolder, attempt: Attempt, end: AttemptEnd
) -> AttemptEnd:
    """The end that counts.

    A success with a result that cannot be exported is none, and nothing is one that changed what
    was received: all jobs of a delivery have the same files.

    Raises:
        OSError: the storage failed or is full, without a part of this attempt in it, and so perhaps
            did its program for that reason.
    """
    if isinstance(end, Succeeded | AttemptFailed | NotNow):
        end = _changed(job, folder, "while it ran") or end
    if isinstance(end, Succeeded) and folder.path / end.folder != folder.input:
        end = _with_result(folder, attempt, end)
    if isinstance(end, AttemptFailed | NotNow) and _make_room(context, attempt):
        removed = "what it wrote is removed, as the disk is under its reserve"
        return replace(end, reason=f"{end.reason}; {removed}")
    return end


def put_off(folder: JobFolder, attempt: Attempt) -> float:
    """An attempt that counts for none; for how long, in seconds, there have been such."""
    now = datetime.now(UTC)
    folder.put_off(attempt)
    job = folder.update(lambda job: job.model_copy(update={"put_off": job.put_off or now}))
    return (now - (job.put_off or now)).total_seconds()


def _changed(job: Job, folder: JobFolder, when: str) -> AttemptFailed | None:
    count = changed_instances(folder, job)
    if not count:
        return None
    log.error("received instances changed", job=job.id, count=count)
    return AttemptFailed(f"{count} of the received instances were changed {when}", final=True)


def _with_result(folder: JobFolder, attempt: Attempt, end: Succeeded) -> AttemptEnd:
    try:
        bad = list(bad_results(folder.path / end.folder))
    except OSError as error:
        return AttemptFailed(f"its output cannot be read: {error.strerror}", final=True)
    if not bad:
        return end
    _name(bad, folder, attempt)
    further = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
    reason = f"{bad[0].told} is not a DICOM file: {bad[0].what}{further}"
    return AttemptFailed(reason, final=True)


def _name(bad: list[BadResult], folder: JobFolder, attempt: Attempt) -> None:
    """Whole names stay on disk, where the data is."""
    with attempt.printed.open("a", errors="surrogateescape") as file:
        for each in bad:
            name = each.path.relative_to(folder.path)
            print(f"penstock: {name} is not a DICOM file: {each.what}", file=file)


def _make_room(context: WorkerContext, attempt: Attempt) -> bool:
    """What a failed attempt wrote is kept for a look at it, unless the space is needed.

    Raises:
        OSError: the disk takes nothing even without it.
    """
    if context.tree.usage().free >= context.settings.storage.reserve_gb * 1e9:
        with contextlib.suppress(OSError):
            _write_something(attempt)
            return False
    attempt.empty()
    _write_something(attempt)
    return True


def _write_something(attempt: Attempt) -> None:
    probe = attempt.path / "probe"
    try:
        probe.write_bytes(bytes(_PROBE))
        sync_file(probe)
    finally:
        probe.unlink(missing_ok=True)
