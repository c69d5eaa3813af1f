"""What the parts of one run of an export share, and how far it is, told to the job's record."""

import time

import structlog
from redis import RedisError

from shared.destination_state import DestinationState
from shared.job import Job
from shared.job_folder import JobFolder
from shared.registry.jobs import DestinationProgress
from workers.advance import advance
from workers.context import WorkerContext
from workers.exports.sent_log import SentLog
from workers.exports.store_status import DELIVERED, FAILED, Verdict
from workers.steps.lease import Lease
from workers.steps.tried import Try

log = structlog.get_logger()

_PROGRESS_PERIOD = 1.0  # seconds between two words on how far a send is


class ExportWork:
    """One job, one destination; `total` instances."""

    def __init__(
        self, context: WorkerContext, lease: Lease, folder: JobFolder, job: Job, name: str
    ) -> None:
        self.context = context
        self.lease = lease
        self.folder = folder
        self.job = job
        self.name = name
        self.tried = Try(context.who, lease.run.attempt)
        self.total = 0
        self._told = 0.0

    def open_log(self) -> SentLog | None:
        """None while another sender has it."""
        return SentLog.of(self.folder, self.job, self.name)

    def tell_sending(self, sent_log: SentLog) -> None:
        """Now and then, and never at the send's cost."""
        now = time.monotonic()
        if now - self._told < _PROGRESS_PERIOD:
            return
        self._told = now
        try:
            self.context.hasty_records.set_destination(
                self.job.id, self.name, self._progress(DestinationState.SENDING, sent_log)
            )
        except RedisError as error:
            log.warning("progress not told", error=type(error).__name__)

    def tell_retrying(self, sent_log: SentLog, reason: str, delay: float) -> None:
        progress = self._progress(DestinationState.RETRYING, sent_log, reason, time.time() + delay)
        self.context.records.set_destination(self.job.id, self.name, progress)

    def tell_awaiting(self, sent_log: SentLog, until: float) -> None:
        """All is delivered, and the destination was asked whether it keeps it."""
        state = DestinationState.AWAITING_COMMITMENT
        progress = self._progress(state, sent_log, retry_at=until)
        self.context.records.set_destination(self.job.id, self.name, progress)

    def tell_interrupted(self, sent_log: SentLog) -> None:
        progress = self._progress(DestinationState.PENDING, sent_log)
        self.context.records.set_destination(self.job.id, self.name, progress)
        advance(self.context, self.folder.read(), self.tried.ends(f"{self.name}: interrupted"))

    def _progress(
        self,
        state: DestinationState,
        sent_log: SentLog,
        reason: str = "",
        retry_at: float | None = None,
    ) -> DestinationProgress:
        return DestinationProgress(
            state,
            total=self.total,
            delivered=sent_log.count(*DELIVERED),
            warnings=sent_log.count(Verdict.WARNING),
            failed=sent_log.count(*FAILED),
            reason=reason,
            retry_at=retry_at,
        )
