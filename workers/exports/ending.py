"""How a run of an export ends: delivered, failed for good, or tried again later."""

import time
from collections import Counter
from collections.abc import Sequence

import structlog

from shared.destination_state import DestinationState
from shared.job import DestinationEnd, Job
from shared.job_state import JobState
from shared.registry.step import Trouble
from shared.settings.sections import Destination
from workers.advance import advance
from workers.commitment.keeping import Awaited, Confirmed, Keeping, NotConfirmed
from workers.exports.outgoing import Outgoing
from workers.exports.sent_log import Sent, SentLog
from workers.exports.store_status import DELIVERED, FAILED, Verdict, in_words
from workers.exports.work import ExportWork
from workers.scu.errors import RejectedError
from workers.steps.backoff import full_jitter
from workers.steps.outcome import Done, Failed, Outcome, TryAgain

log = structlog.get_logger()

_REJECTED_PERMANENT = 1  # PS3.8 table 9-21


def is_delivered(work: ExportWork, sent_log: SentLog) -> bool:
    """Whether all of it is; of nothing, nothing is."""
    return work.total > 0 and sent_log.count(*DELIVERED) == work.total


def settle(
    work: ExportWork, sent_log: SentLog, keeping: Keeping, files: Sequence[Outgoing]
) -> Outcome:
    """All is delivered; whether it is kept is asked, and the answer awaited without a place.

    Raises:
        AskLaterError, ScuError: it is not known to be asked.
        LeaseLostError, StepWithdrawnError, StoppingError: this run is to stop.
    """
    match keeping.settle(files, work.lease):
        case Confirmed():
            return end_export(work, sent_log, state=DestinationState.COMMITMENT_CONFIRMED)
        case NotConfirmed(reason):
            return end_export(work, sent_log, reason, DestinationState.NOT_CONFIRMED)
        case Awaited(until, asked_now):
            if asked_now:
                what = f"{work.name}: asked to commit ({keeping.times_asked})"
                entry = work.tried.ends(what)
                work.context.records.move(work.job.id, JobState.EXPORTING, entry)
                work.context.gate.recovered(work.lease.run.step.lane)
            work.tell_awaiting(sent_log, until)
            delay = max(0.0, until - time.time())
            return TryAgain(delay, f"{work.name}: awaits storage commitment", counted=False)


def ask_later(
    work: ExportWork, destination: Destination, sent_log: SentLog, keeping: Keeping
) -> Outcome:
    """Not all of it is kept: what is sent and asked again comes as late as after a failure."""
    exporter = work.context.settings.exporter.towards(destination)
    delay = full_jitter(keeping.times_asked, exporter.retry_first, exporter.retry_longest)
    reason = "not all of it is kept"
    _tell_later(work, sent_log, reason, delay)
    return TryAgain(delay, f"{work.name}: {reason}", counted=False)


def try_again(
    work: ExportWork,
    destination: Destination,
    sent_log: SentLog,
    error: Exception,
    keeping: Keeping | None = None,
) -> Outcome:
    """Later, unless it has been tried for too long."""
    exporter = work.context.settings.exporter.towards(destination)
    patience = exporter.give_up_after
    since, state = min(sent_log.begun, work.lease.run.submitted), DestinationState.FAILED
    if keeping is not None and is_delivered(work, sent_log):
        since, state = keeping.due_since, DestinationState.NOT_CONFIRMED
    if time.time() - since > patience:
        return end_export(work, sent_log, f"given up: {error}", state)
    delay = full_jitter(work.lease.run.attempt, exporter.retry_first, exporter.retry_longest)
    shut_after = exporter.probe_after
    if isinstance(error, RejectedError) and error.reject.result == _REJECTED_PERMANENT:
        delay, shut_after = exporter.retry_longest, 1
    _tell_later(work, sent_log, str(error), delay)
    return TryAgain(delay, f"{work.name}: {error}", trouble=Trouble(shut_after, patience))


def _tell_later(work: ExportWork, sent_log: SentLog, reason: str, delay: float) -> None:
    entry = work.tried.ends(f"{work.name}: again in {delay:.0f} s", reason)
    work.context.records.move(work.job.id, JobState.EXPORTING, entry)
    work.tell_retrying(sent_log, reason, delay)


def end_export(
    work: ExportWork,
    sent_log: SentLog,
    reason: str = "",
    state: DestinationState | None = None,
) -> Outcome:
    """Nothing is owed any more, or nothing can be sent: how it ended goes on record."""
    warnings = sent_log.count(Verdict.WARNING)
    delivered = sent_log.count(*DELIVERED)
    failed = max(work.total - delivered, sent_log.count(*FAILED))
    kinds = sent_log.statuses(FAILED)
    if failed and not reason:
        reason = f"{failed} of {work.total} instances were not delivered: {_in_words(kinds)}"
    if state is None:
        state = DestinationState.DELIVERED
        if reason:
            state = DestinationState.FAILED
        elif warnings:
            state = DestinationState.DELIVERED_WITH_WARNINGS
    end = DestinationEnd(
        state=state,
        delivered=delivered,
        warnings=warnings,
        failed=failed,
        reason=reason,
    )

    def ended(job: Job) -> Job:
        """A person may have discarded it meanwhile; what is delivered whole is so all the same."""
        is_open = work.name in job.open_destinations
        return job.with_destination(work.name, end) if is_open or not reason else job

    job = work.folder.update(ended)
    advance(work.context, job, work.tried.ends(f"{work.name}: {state}", reason))
    _tell_refusals(work, kinds, delivered)
    return Failed(f"{work.name}: {reason}") if reason else Done()


def _in_words(kinds: Counter[Sent]) -> str:
    return "; ".join(f"{count} {_why(sent)}" for sent, count in kinds.most_common())


def _why(sent: Sent) -> str:
    status = "" if sent.status is None else f" with {in_words(sent.status)}"
    return f"{sent.verdict.value}{status}"


def _tell_refusals(work: ExportWork, kinds: Counter[Sent], delivered: int) -> None:
    """A refusal that any other instance would meet too is a person's to mend."""
    refused = [sent.status for sent in kinds if sent.verdict is Verdict.REFUSED and sent.status]
    words = ", ".join(in_words(status) for status in refused)
    if words:
        log.warning("destination refuses what it is sent", destination=work.name, statuses=words)
    if words or delivered:
        work.context.records.set_refusal(work.name, words)
