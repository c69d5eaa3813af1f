"""Reports that have come: the export that waits for one goes on at once, not at its deadline.

Every worker process looks for them; doubled words do no harm. The export itself takes them in.
"""

import contextlib
import time
from pathlib import Path

import structlog
from pydantic import ValidationError

from shared.acts import ActError
from shared.commitment.report import reports
from shared.commitment.transaction import Transaction, read_transaction
from shared.destination_state import DestinationState
from shared.export_acts import ExportActs
from shared.job_folder import JobFolder
from shared.job_steps import export_step
from workers.commitment.data_sets import read_told
from workers.context import WorkerContext

log = structlog.get_logger()


class Hearing:
    """`tick` often; each report is looked at once, and then again now and then."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._heard: dict[Path, float] = {}

    def tick(self) -> None:
        """
        Raises:
            redis.RedisError, OSError: Redis or the storage is away; to be called again.
        """
        period = self._context.settings.workers.reconcile
        now = time.monotonic()
        there = {path: uid for uid, path in reports(self._context.tree)}
        self._heard = {path: at for path, at in self._heard.items() if path in there}
        for path, transaction_uid in there.items():
            if now - self._heard.get(path, -period) >= period:
                with contextlib.suppress(FileNotFoundError):  # the export has just taken it
                    self._hear(transaction_uid, path)
                self._heard[path] = now

    def _hear(self, transaction_uid: str, path: Path) -> None:
        try:
            transaction = read_transaction(self._context.tree, transaction_uid)
            job = JobFolder(self._context.tree, transaction.job).read()
        except (FileNotFoundError, ValidationError):
            log.info("a report for what is gone", transaction=transaction_uid)
            path.unlink()
            return
        name = transaction.destination
        if not job.cancelled and name in job.open_destinations:
            if self._context.hasty_gate.hasten(export_step(job, name).id):
                self._context.line.call_up(export_step(job, name).queue)
            return
        end = job.destinations.get(name)
        late = end is not None and end.state is DestinationState.NOT_CONFIRMED
        if late and not job.cancelled and self._confirms(path):
            self._reopen(transaction)
        else:
            path.unlink()

    def _confirms(self, path: Path) -> bool:
        told = read_told(path)
        return told is not None and not told.failed

    def _reopen(self, transaction: Transaction) -> None:
        """It was given up, and is confirmed after all."""
        context = self._context
        acts = ExportActs(context.tree, context.hasty_gate, context.hasty_records, context.who)
        with contextlib.suppress(ActError):  # a person, or another worker, was faster
            acts.retry(transaction.job, transaction.destination)
