"""Whether a destination keeps what one job has sent it: asked, heard, and written down."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from shared.commitment.report import Report, reports
from shared.commitment.transaction import Transaction
from shared.job_folder import JobFolder
from shared.settings.sections import Destination
from shared.upper_layer.n_services import EventReportRequest, EventReportResponse
from shared.upper_layer.status import Status
from workers.commitment.asked import Asked, Question
from workers.commitment.data_sets import Told, encode_request, read_told
from workers.commitment.failure_reason import Cure, cure, in_words
from workers.context import WorkerContext
from workers.exports.outgoing import Outgoing
from workers.exports.sent_log import SentLog
from workers.scu.association import associate
from workers.scu.commitment import COMMITMENT_CONTEXT, CommitmentScu
from workers.scu.contexts import IMPLICIT_VR_LITTLE_ENDIAN
from workers.scu.errors import NotAcceptedError, ScuError
from workers.scu.peer import Caller, Peer
from workers.steps.lease import Lease

log = structlog.get_logger()

# PS3.7 10.1.4.1.10; attribute list error and value out of range are warnings.
_ACCEPTED = {Status.SUCCESS, 0x0001, 0x0107, 0x0116}
_LATER = {Status.PROCESSING_FAILURE, Status.RESOURCE_LIMITATION, None}


class AskLaterError(Exception):
    """The destination cannot be asked now."""


class _RefusedError(Exception):
    """The destination will not be asked, now or later."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The destination keeps all of it."""


@dataclass(frozen=True, slots=True)
class NotConfirmed:
    """It has been asked enough, or to ask once more cannot help."""

    reason: str


@dataclass(frozen=True, slots=True)
class Awaited:
    """Its answer is; until then there is nothing to do."""

    until: float  # POSIX time
    asked_now: bool = False


Standing = Confirmed | NotConfirmed | Awaited


class Keeping:
    """Of one export; whoever has its send log has this too."""

    def __init__(
        self,
        context: WorkerContext,
        folder: JobFolder,
        name: str,
        destination: Destination,
        round_: int,
        sent_log: SentLog,
    ) -> None:
        self._context = context
        self._folder = folder
        self._name = name
        self._destination = destination
        self._round = round_
        self._log = sent_log
        self._asked = Asked.read(folder, name)

    @property
    def times_asked(self) -> int:
        """In this round."""
        return len(self._asked.accepted_in(self._round))

    @property
    def _awaited_until(self) -> float | None:
        """When the destination is to be asked again (POSIX time); None: it may be now."""
        last = self._last_accepted
        if last is None or last.closed:
            return None
        until = last.at.timestamp() + self._destination.commitment_timeout
        return until if until > time.time() else None

    @property
    def due_since(self) -> float:
        """Since when it is to be asked, once more or at last (POSIX time)."""
        last = self._last_accepted
        if last is None:
            return self._log.begun
        return last.at.timestamp() + self._destination.commitment_timeout

    @property
    def _last_accepted(self) -> Question | None:
        accepted = self._asked.accepted_in(self._round)
        return accepted[-1] if accepted else None

    def take_reports(self, files: Sequence[Outgoing]) -> bool:
        """Writes what the destination has said since into the send log: what it misses is owed.

        True if that leaves something to be asked for again.
        """
        taken = False
        for question in self._asked.questions:
            for _, path in list(reports(self._context.tree, question.transaction_uid)):
                told = read_told(path)
                if told is None:
                    log.warning("a report cannot be read", job=self._folder.id)
                elif not self._is_closed(question):
                    self._take(question, told, files)
                    taken = True
                path.unlink()
        return taken and bool(self._open(files))

    def settle(self, files: Sequence[Outgoing], lease: Lease) -> Standing:
        """How it stands with what is delivered; asks for the rest of it where that is due.

        Raises:
            AskLaterError, ScuError: it is not known to be asked.
            LeaseLostError, StepWithdrawnError, StoppingError: this run is to stop.
        """
        if not self._open(files):
            return NotConfirmed(self._why("not confirmed")) if self._log.missing else Confirmed()
        if until := self._awaited_until:
            return Awaited(until)
        if self.times_asked >= self._destination.commitment_attempts:
            return NotConfirmed(self._why(f"not confirmed, asked {self.times_asked} times"))
        lease.check_before_send()
        try:
            heard = self._ask(files)
        except _RefusedError as error:
            return NotConfirmed(str(error))
        now = time.time()
        return Awaited(now if heard else self._awaited_until or now, asked_now=True)

    def _open(self, files: Iterable[Outgoing]) -> list[Outgoing]:
        """What may yet be confirmed."""
        return [
            file
            for file in files
            if file.name not in self._log.committed
            and cure(self._log.missing.get(file.name)) is not Cure.NONE
        ]

    def _why(self, what: str) -> str:
        reasons = Counter(map(in_words, self._log.missing.values()))
        words = ", ".join(f"{count} for {reason}" for reason, count in reasons.most_common())
        return f"{what}: {words}" if words else what

    def _ask(self, files: Sequence[Outgoing]) -> bool:
        """Whether the answer has come already."""
        peer = Peer.of(self._destination)
        caller = Caller.of(self._context.settings, self._destination)
        accepted = False
        try:
            with associate(peer, caller, (COMMITMENT_CONTEXT,)) as association:
                scu = CommitmentScu(association, self._hear)
                status = scu.ask(self._request(files))
                if accepted := status in _ACCEPTED:
                    self._write(self._asked.accepted())
                    scu.listen(self._destination.commitment_linger)
        except NotAcceptedError:
            raise _RefusedError("it does not offer storage commitment") from None
        except ScuError as error:
            if not accepted:
                raise
            log.info("after a request to commit", destination=self._name, error=str(error))
        if not accepted:
            raise _refusal(status)
        return scu.reports > 0

    def _request(self, files: Iterable[Outgoing]) -> bytes:
        transaction = Transaction(job=self._folder.id, destination=self._name)
        transaction_uid = transaction.begin(self._context.tree)
        self._write(self._asked.begun(transaction_uid, self._round))
        wanted = [file.meta for file in self._open(files)]
        references = dict.fromkeys((meta.sop_class_uid, meta.sop_instance_uid) for meta in wanted)
        return encode_request(transaction_uid, references)

    def _hear(self, request: EventReportRequest, data_set: bytes) -> EventReportResponse:
        ours = self._context.settings.exporter.ae_title
        report = Report(
            request, IMPLICIT_VR_LITTLE_ENDIAN, data_set, self._destination.ae_title, ours
        )
        return report.answer(report.keep(self._context.tree, self._context.settings.dicom))

    def _is_closed(self, question: Question) -> bool:
        return question.round < self._log.whole_round or any(
            each.closed and each.transaction_uid == question.transaction_uid
            for each in self._asked.questions
        )

    def _take(self, question: Question, told: Told, files: Iterable[Outgoing]) -> None:
        by_uid: dict[str, list[Outgoing]] = defaultdict(list)
        for file in files:
            if file.name in self._log.final and file.name not in self._log.committed:
                by_uid[file.meta.sop_instance_uid].append(file)
        missing = [(file, told.failed[uid]) for uid in told.failed for file in by_uid.get(uid, ())]
        for uid in told.committed:
            for file in by_uid.get(uid, ()):
                self._log.commit(file.name)
        for file, reason in missing:
            self._log.miss(file.name, reason)
        # Of what is sent again, an answer to an earlier question says nothing.
        again = any(cure(reason) is Cure.SEND for _, reason in missing)
        closed = self._asked.questions if again else (question,)
        self._write(self._asked.closed(*(each.transaction_uid for each in closed)))

    def _write(self, asked: Asked) -> None:
        self._asked = asked
        asked.write_for(self._folder, self._name)


def _refusal(status: int | None) -> Exception:
    words = "no status" if status is None else f"status {status:04X}"
    if status in _LATER:
        return AskLaterError(f"storage commitment: {words}")
    return _RefusedError(f"it refuses storage commitment: {words}")
