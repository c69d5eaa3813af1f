"""Sending what a job owes to one destination: association after association, until none is left."""

import time

import structlog
from redis import RedisError

from shared.job_state import JobState
from shared.settings.sections import Destination
from workers.exports.outgoing import Outgoing, by_association
from workers.exports.sent_log import SentLog
from workers.exports.store_status import Verdict, in_words, judge
from workers.exports.work import ExportWork
from workers.scu.association import ScuAssociation, associate
from workers.scu.contexts import contexts_for
from workers.scu.errors import ScuError
from workers.scu.peer import Caller, Peer
from workers.steps.lease import LeaseLostError, StepWithdrawnError, StoppingError

log = structlog.get_logger()

_MOST_LOSSES = 3  # of associations by one instance, while the destination takes others


class LaterError(Exception):
    """The destination asks to come again later."""


class Sending:
    """One run of it; the log has what earlier ones have done."""

    def __init__(
        self, work: ExportWork, destination: Destination, files: list[Outgoing], sent_log: SentLog
    ) -> None:
        self._work = work
        self._destination = destination
        self._files = files
        self._log = sent_log

    def run(self) -> None:
        """
        Raises:
            ScuError, LaterError: something is owed yet.
            LeaseLostError, StepWithdrawnError, StoppingError: this run is to stop.
            OSError: a file cannot be read, or the log not be written.
        """
        if owed := self._owed():
            what = f"sending {len(owed)} instances to {self._work.name}"
            entry = self._work.tried.begins(what)
            self._work.context.records.move(self._work.job.id, JobState.EXPORTING, entry)
        while owed:
            try:
                self._send(self._next(owed))
            finally:
                self._log.lost()
            owed = self._owed()

    def _owed(self) -> list[Outgoing]:
        return [file for file in self._files if file.name not in self._log.final]

    def _next(self, owed: list[Outgoing]) -> list[Outgoing]:
        """What the next association carries.

        An instance at which one was lost goes behind all others and alone, so that these are
        released before it can take them with it.
        """
        innocent = [file for file in owed if self._log.losses(file.name) is None]
        if not innocent:
            return owed[:1]
        return next(by_association(innocent))[: self._log.longest(len(innocent))]

    def _send(self, files: list[Outgoing]) -> None:
        context, destination = self._work.context, self._destination
        caller = Caller.of(context.settings, destination)
        contexts = contexts_for(file.meta for file in files)
        self._work.lease.check_before_send()
        with associate(Peer.of(destination), caller, contexts) as association:
            self._log.opened(held=destination.confirm == "release")
            ended_early = self._send_all(association, files)
        # Only now: the release lets the destination keep what it has said yes to.
        self._log.released()
        if ended_early:
            raise ended_early

    def _send_all(self, association: ScuAssociation, files: list[Outgoing]) -> Exception | None:
        """Sends until the destination asks to come again later, or this run is to stop."""
        for file, following in zip(files, [*files[1:], None], strict=True):
            try:
                self._keep_pace()
                self._work.lease.check_before_send()
            except (LeaseLostError, StepWithdrawnError, StoppingError) as interruption:
                return interruption
            if later := self._send_one(association, file, following):
                return LaterError(later)
        return None

    def _send_one(
        self, association: ScuAssociation, file: Outgoing, following: Outgoing | None
    ) -> str:
        """Why the destination is to be asked again later; empty where it is not."""
        if not association.accepts(file.meta):
            self._log.record(file.name, Verdict.NOT_ACCEPTED, None)
            return ""
        if not file.is_as_stored:
            self._log.record(file.name, Verdict.CHANGED, None)
            return ""
        try:
            response = association.store(*file.file, following.file if following else None)
        except ScuError:
            self._lost(file)
            raise
        if response.status is None:
            self._log.record(file.name, Verdict.UNKNOWN, None)
            return "a response without a status"
        verdict = judge(
            response.status,
            self._log.answers(file.name, response.status),
            sent_before=self._log.was_sent(file.name),
            overrides=self._destination.statuses,
        )
        self._log.record(file.name, verdict, response.status)
        if verdict is Verdict.LATER:
            return f"status {in_words(response.status)}"
        self._work.tell_sending(self._log)
        return ""

    def _lost(self, file: Outgoing) -> None:
        """The association was lost with an instance under way: the instance's fault, or another's.

        It is the instance's own where the destination takes others between its losses.
        """
        self._log.record(file.name, Verdict.LOST, None)
        losses = self._log.losses(file.name)
        if losses is None or losses.count < _MOST_LOSSES:
            return
        if losses.others_since or self._takes_others(losses.first):
            self._log.record(file.name, Verdict.BREAKS, None)

    def _takes_others(self, since: float) -> bool:
        """Whether an export of another job to this destination was through since then."""
        try:
            through = self._work.context.hasty_gate.last_done(self._work.lease.run.step.lane)
        except RedisError:
            return False
        return through is not None and through > since

    def _keep_pace(self) -> None:
        exporter = self._work.context.settings.exporter
        rate = exporter.towards(self._destination).rate_limit
        if rate is None:
            return
        while wait := self._work.context.gate.pace(self._work.name, rate):
            self._work.lease.check_before_send()
            time.sleep(min(wait, 1.0))
