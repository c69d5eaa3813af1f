"""The export step: one job's result to one destination, as it is stored, and only what is owed."""

from shared.job_folder import JobFolder
from shared.job_state import JobState
from shared.mirror import MUST_NOT_RUN
from shared.part10 import NotPart10Error
from shared.settings.sections import Destination
from workers.advance import advance
from workers.attempts.result_manifest import read_manifest
from workers.commitment.keeping import AskLaterError, Keeping
from workers.context import WorkerContext
from workers.exports.ending import ask_later, end_export, is_delivered, settle, try_again
from workers.exports.outgoing import Outgoing, outgoing, outgoing_in
from workers.exports.probe import probe
from workers.exports.sending import LaterError, Sending
from workers.exports.sent_log import SentLog
from workers.exports.store_status import Verdict
from workers.exports.work import ExportWork
from workers.scu.errors import ScuError
from workers.steps.lease import Lease, StepWithdrawnError
from workers.steps.outcome import Done, Outcome, TryAgain
from workers.steps.surroundings import is_elsewhere

_BUSY_DELAY = 2.0  # seconds


def export(context: WorkerContext, lease: Lease) -> Outcome:
    """The body of an export step, and of a probe."""
    step = lease.run.step
    if not step.job:
        return probe(context, lease)
    folder = JobFolder(context.tree, step.job)
    name = step.id.removeprefix(f"{step.job}.")
    job = folder.read()
    if job.state in MUST_NOT_RUN:
        raise StepWithdrawnError
    if job.state is not JobState.EXPORTING or name not in job.open_destinations:
        advance(context, job)
        return Done()
    work = ExportWork(context, lease, folder, job, name)
    sent_log = work.open_log()
    if sent_log is None:
        return TryAgain(_BUSY_DELAY, "another sender still has this export", counted=False)
    with sent_log:
        return _run(work, sent_log)


def _run(work: ExportWork, sent_log: SentLog) -> Outcome:
    destination = _destination(work)
    if destination is None:
        return end_export(work, sent_log, f"no destination is named {work.name!r} any more")
    try:
        files = _files(work, sent_log)
    except NotPart10Error as error:
        return end_export(work, sent_log, f"a result cannot be read: {error}")
    except OSError as error:  # its text has the file's name, which is the program's choice
        if is_elsewhere(work.context, error):
            raise
        return end_export(work, sent_log, f"a result cannot be read: {error.strerror}")
    keeping = _keeping(work, destination, sent_log)
    if keeping is not None and keeping.take_reports(files):
        return ask_later(work, destination, sent_log, keeping)
    try:
        Sending(work, destination, files, sent_log).run()
        if keeping is not None and is_delivered(work, sent_log):
            return settle(work, sent_log, keeping, files)
    except (ScuError, LaterError, AskLaterError) as error:
        return try_again(work, destination, sent_log, error, keeping)
    except StepWithdrawnError:
        work.tell_interrupted(sent_log)
        raise
    return end_export(work, sent_log)


def _keeping(work: ExportWork, destination: Destination, sent_log: SentLog) -> Keeping | None:
    if not destination.storage_commitment:
        return None
    round_ = work.job.rounds.get(work.name, 0)
    return Keeping(work.context, work.folder, work.name, destination, round_, sent_log)


def _destination(work: ExportWork) -> Destination | None:
    if work.name not in work.context.settings.destinations:
        work.context.live.reread()
    return work.context.settings.destinations.get(work.name)


def _files(work: ExportWork, sent_log: SentLog) -> list[Outgoing]:
    """The result's files; of those that are not what they were the log says so."""
    result = work.job.result
    assert result is not None
    folder = work.folder.path / result.folder
    manifest = read_manifest(work.folder, result)
    if manifest is None:
        files = outgoing_in(folder)
        work.total = len(files)
        return files
    files = list(outgoing(folder, manifest.instances))
    work.total = len(manifest.instances)
    there = {file.name for file in files}
    for stored in manifest.instances:
        if stored.name not in there and stored.name not in sent_log.final:
            sent_log.record(stored.name, Verdict.CHANGED, None)
    return files
