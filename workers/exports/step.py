"""The export step: one job's result to one destination, as it is stored, and only what is owed."""

import time

import structlog
from redis import RedisError

from shared.job import DestinationEnd, DestinationState, Job, JobState
from shared.job_folder import JobFolder
from shared.mirror import MUST_NOT_RUN
from shared.part10 import NotPart10Error
from shared.registry.jobs import DestinationProgress
from shared.settings.sections import Destination
from workers.advance import advance
from workers.backoff import full_jitter
from workers.commitment.keeping import AskLaterError, Awaited, Confirmed, Keeping, NotConfirmed
from workers.context import WorkerContext
from workers.exports.outgoing import Outgoing, by_association, outgoing_in
from workers.exports.sent_log import SentLog
from workers.exports.store_status import Verdict, judge
from workers.lease import Lease, LeaseLostError, StepWithdrawnError, StoppingError
from workers.outcome import Done, Failed, Outcome, TryAgain
from workers.scu.association import ScuAssociation, associate
from workers.scu.contexts import contexts_for
from workers.scu.errors import RejectedError, ScuError
from workers.scu.peer import Caller, Peer
from workers.surroundings import is_elsewhere
from workers.tried import Try

log = structlog.get_logger()

_BUSY_DELAY = 2.0  # seconds
_REJECTED_PERMANENT = 1  # PS3.8 table 9-21
_PROGRESS_PERIOD = 1.0  # seconds between two words on how far a send is


class _LaterError(Exception):
    """The destination asks to come again later."""


def export(context: WorkerContext, lease: Lease) -> Outcome:
    """The body of an export step."""
    step = lease.run.step
    folder = JobFolder(context.tree, step.job)
    name = step.id.removeprefix(f"{step.job}.")
    job = folder.read()
    if job.state in MUST_NOT_RUN:
        raise StepWithdrawnError
    if job.state is not JobState.EXPORTING or name not in job.open_destinations:
        advance(context, job)
        return Done()
    sent_log = SentLog.try_open(folder.path / f"sent-{name}.log", job.rounds.get(name, 0))
    if sent_log is None:
        return TryAgain(_BUSY_DELAY, "another sender still has this export", counted=False)
    with sent_log:
        return _Export(context, lease, folder, job, name, sent_log).run()


class _Export:
    """What the parts of one run share."""

    def __init__(
        self,
        context: WorkerContext,
        lease: Lease,
        folder: JobFolder,
        job: Job,
        name: str,
        sent_log: SentLog,
    ) -> None:
        self.context = context
        self.lease = lease
        self.folder = folder
        self.job = job
        self.name = name
        self.sent_log = sent_log
        self.tried = Try(context.who, lease.run.attempt)
        self.total = 0
        self.told = 0.0

    def run(self) -> Outcome:
        destination = self._destination()
        if destination is None:
            return self._end(f"no destination is named {self.name!r} any more")
        try:
            files = self._files()
        except NotPart10Error as error:
            return self._end(f"a result cannot be read: {error}")
        except OSError as error:  # its text has the file's name, which is the program's choice
            if is_elsewhere(self.context, error):
                raise
            return self._end(f"a result cannot be read: {error.strerror}")
        self.total = len(files)
        keeping = self._keeping(destination)
        if keeping is not None:
            keeping.take_reports(files)
        owed = [file for file in files if file.name not in self.sent_log.final]
        if owed:
            entry = self.tried.begins(f"sending {len(owed)} instances to {self.name}")
            self.context.records.move(self.job.id, JobState.EXPORTING, entry)
        try:
            for part in by_association(owed):
                self._send(destination, part)
            if keeping is not None and files and self._delivered == self.total:
                return self._settle(keeping, files)
        except (ScuError, AskLaterError, _LaterError) as error:
            return self._try_again(error, keeping)
        except StepWithdrawnError:
            self._tell(DestinationState.PENDING)
            advance(self.context, self.folder.read(), self.tried.ends(f"{self.name}: interrupted"))
            raise
        return self._end()

    def _keeping(self, destination: Destination) -> Keeping | None:
        if not destination.storage_commitment:
            return None
        round_ = self.job.rounds.get(self.name, 0)
        return Keeping(self.context, self.folder, self.name, destination, round_, self.sent_log)

    def _settle(self, keeping: Keeping, files: list[Outgoing]) -> Outcome:
        """All is delivered; whether it is kept is asked, and the answer awaited without a place."""
        match keeping.settle(files, self.lease):
            case Confirmed():
                return self._end(state=DestinationState.COMMITMENT_CONFIRMED)
            case NotConfirmed(reason):
                return self._end(reason, DestinationState.NOT_CONFIRMED)
            case Awaited(until, asked_now):
                if asked_now:
                    what = f"{self.name}: asked to commit ({keeping.times_asked})"
                    entry = self.tried.ends(what)
                    self.context.records.move(self.job.id, JobState.EXPORTING, entry)
                    self.context.gate.recovered(self.lease.run.step.lane)
                self._tell(DestinationState.AWAITING_COMMITMENT, retry_at=until)
                delay = max(0.0, until - time.time())
                return TryAgain(delay, f"{self.name}: awaits storage commitment", counted=False)

    def _destination(self) -> Destination | None:
        if self.name not in self.context.settings.destinations:
            self.context.live.reread()
        return self.context.settings.destinations.get(self.name)

    def _files(self) -> list[Outgoing]:
        assert self.job.result is not None
        return outgoing_in(self.folder.path / self.job.result.folder)

    def _send(self, destination: Destination, files: list[Outgoing]) -> None:
        caller = Caller.of(self.context.settings, destination)
        contexts = contexts_for(file.meta for file in files)
        self.lease.check_before_send()
        with associate(Peer.of(destination), caller, contexts) as association:
            ended_early = self._send_all(association, destination, files)
        # Only now: the release lets the destination keep what it has said yes to.
        if ended_early:
            raise ended_early

    def _send_all(
        self, association: ScuAssociation, destination: Destination, files: list[Outgoing]
    ) -> Exception | None:
        """Sends until the destination asks to come again later, or this run is to stop."""
        for file in files:
            try:
                self._keep_pace(destination)
                self.lease.check_before_send()
            except (LeaseLostError, StepWithdrawnError, StoppingError) as interruption:
                return interruption
            if later := self._send_one(association, file):
                return _LaterError(later)
        return None

    def _send_one(self, association: ScuAssociation, file: Outgoing) -> str:
        """Why the destination is to be asked again later; empty where it is not."""
        if not association.accepts(file.meta):
            self.sent_log.record(file.name, Verdict.FAILED, None)
            return ""
        response = association.store(file.path, file.meta)
        earlier = self.sent_log.answers(file.name, response.status)
        verdict = judge(response.status, earlier)
        self.sent_log.record(file.name, verdict, response.status)
        if verdict is Verdict.LATER:
            return f"status {response.status:04X}"
        if verdict is Verdict.UNKNOWN:
            return "a response without a status"
        self._tell(DestinationState.SENDING)
        return ""

    def _keep_pace(self, destination: Destination) -> None:
        rate = self.context.settings.exporter.towards(destination).rate_limit
        if rate is None:
            return
        while wait := self.context.gate.pace(self.name, rate):
            self.lease.check_before_send()
            time.sleep(min(wait, 1.0))

    def _try_again(self, error: Exception, keeping: Keeping | None) -> Outcome:
        settings = self.context.settings.exporter
        delivered = keeping is not None and self._delivered == self.total
        since = keeping.due_since if keeping and delivered else self.sent_log.begun
        if time.time() - since > settings.give_up_after:
            state = DestinationState.NOT_CONFIRMED if delivered else DestinationState.FAILED
            return self._end(f"given up: {error}", state)
        delay = full_jitter(self.lease.run.attempt, settings.retry_first, settings.retry_longest)
        if isinstance(error, RejectedError) and error.reject.result == _REJECTED_PERMANENT:
            delay = settings.retry_longest
        entry = self.tried.ends(f"{self.name}: again in {delay:.0f} s", str(error))
        self.context.records.move(self.job.id, JobState.EXPORTING, entry)
        self._tell(DestinationState.RETRYING, reason=str(error), retry_at=time.time() + delay)
        return TryAgain(delay, f"{self.name}: {error}", troubled=True)

    @property
    def _delivered(self) -> int:
        return self.sent_log.count(Verdict.DELIVERED) + self.sent_log.count(Verdict.WARNING)

    def _end(self, reason: str = "", state: DestinationState | None = None) -> Outcome:
        """Nothing is owed any more, or nothing can be sent: how it ended goes on record."""
        warnings = self.sent_log.count(Verdict.WARNING)
        delivered = self._delivered
        failed = max(self.total - delivered, self.sent_log.count(Verdict.FAILED))
        if failed and not reason:
            reason = f"{failed} of {self.total} instances were refused for good"
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
        job = self.folder.update(lambda job: job.with_destination(self.name, end))
        advance(self.context, job, self.tried.ends(f"{self.name}: {state}", reason))
        return Failed(f"{self.name}: {reason}") if reason else Done()

    def _tell(
        self, state: DestinationState, *, reason: str = "", retry_at: float | None = None
    ) -> None:
        """Says how far it is; while it is sending now and then, and never at the send's cost."""
        now = time.monotonic()
        if state is DestinationState.SENDING and now - self.told < _PROGRESS_PERIOD:
            return
        self.told = now
        progress = DestinationProgress(
            state,
            total=self.total,
            delivered=self._delivered,
            warnings=self.sent_log.count(Verdict.WARNING),
            failed=self.sent_log.count(Verdict.FAILED),
            reason=reason,
            retry_at=retry_at,
        )
        sending = state is DestinationState.SENDING
        records = self.context.hasty_records if sending else self.context.records
        try:
            records.set_destination(self.job.id, self.name, progress)
        except RedisError as error:
            if not sending:
                raise
            log.warning("progress not told", error=type(error).__name__)
