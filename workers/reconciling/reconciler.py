"""The reconciler: compares the storage with Redis and says again what was lost.

Every worker process has one; doubled words do no harm.
"""

import contextlib
import time

import structlog
from pydantic import ValidationError

from shared.announce import dispatch_step
from shared.delivery import read_delivery
from shared.job_folder import JobFolder
from shared.job_state import JobState
from shared.tree import ids_in
from workers.context import WorkerContext
from workers.dispatching.dispatched import is_dispatched
from workers.reconciling.catch_up import catch_up
from workers.reconciling.listing import Listing

log = structlog.get_logger()

_ASLEEP = {JobState.HELD, JobState.FAILED, JobState.CANCELLED}  # a person's word changes the file


class Reconciler:
    """`tick` often; it looks at `committed/` each time and at the rest now and then.

    What is settled costs no file, and no call to Redis of its own: a delivery that is dispatched, a
    job that is done. A job that sleeps costs a look at its file's time.
    """

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._told: dict[str, float] = {}  # committed delivery -> when it was submitted
        self._deliveries = Listing(context.tree.deliveries)
        self._jobs = Listing(context.tree.jobs)
        self._dispatched: set[str] = set()
        self._done: set[str] = set()  # jobs, on disk and in Redis
        self._asleep: dict[str, int] = {}  # jobs, and when the state that was seen was written
        self._epoch = ""
        self._looked = 0.0

    def tick(self) -> None:
        """
        Raises:
            redis.RedisError, OSError: Redis or the storage is away; to be called again.
        """
        period = self._context.settings.workers.reconcile
        now = time.monotonic()
        committed = list(ids_in(self._context.tree.committed))
        self._told = {name: at for name, at in self._told.items() if name in set(committed)}
        for delivery_id in committed:
            if now - self._told.get(delivery_id, -period) >= period:
                self._submit_dispatch(delivery_id)
                self._told[delivery_id] = now
        if now - self._looked >= period:
            self._look_at_deliveries()
            failed = self._look_at_jobs()
            self._looked = now
            if failed:
                raise failed

    def _look_at_deliveries(self) -> None:
        folder = self._context.tree.deliveries
        ids = self._deliveries.ids()
        self._dispatched &= ids
        for delivery_id in sorted(ids - self._dispatched):
            if is_dispatched(folder / delivery_id):
                self._dispatched.add(delivery_id)
            else:
                self._submit_dispatch(delivery_id)

    def _look_at_jobs(self) -> OSError | None:
        """How the storage failed, if it did, perhaps at one job alone."""
        epoch = self._context.hasty_gate.epoch()
        known_as_done: set[str] = set()
        if epoch != self._epoch:  # Redis may know nothing of what was settled
            known_as_done = self._context.hasty_records.in_state(JobState.DONE)
            self._done &= known_as_done
            self._asleep.clear()
        ids = self._jobs.ids()
        self._done &= ids
        if self._done:  # a person may have one of them exported once more
            self._done -= self._context.hasty_records.in_state(JobState.EXPORTING)
        self._asleep = {job_id: at for job_id, at in self._asleep.items() if job_id in ids}
        failed: OSError | None = None
        for job_id in sorted(ids - self._done):
            try:
                self._look_at_job(job_id, job_id in known_as_done)
            except OSError as error:
                failed = error
        self._epoch = epoch
        return failed

    def _submit_dispatch(self, delivery_id: str) -> None:
        with contextlib.suppress(ValidationError):  # its dispatch takes it to quarantine
            submit_dispatch(self._context, delivery_id)

    def _look_at_job(self, job_id: str, known_as_done: bool) -> None:
        folder = JobFolder(self._context.tree, job_id)
        try:
            written = folder.written()
            if self._asleep.get(job_id) == written:
                return
            if known_as_done and folder.read().state is JobState.DONE:
                self._done.add(job_id)
                return
            job = catch_up(self._context, folder)
        except FileNotFoundError:
            return  # dispatch is about to write it, or housekeeping has just removed it
        except ValidationError:
            log.error("damaged state.json", job=job_id)
            self._asleep[job_id] = written
            return
        if job.state is JobState.DONE:
            self._done.add(job_id)
        elif job.state in _ASLEEP:
            self._asleep[job_id] = written


def submit_dispatch(context: WorkerContext, delivery_id: str) -> None:
    """For a delivery that is committed, or dispatched by half.

    Raises:
        pydantic.ValidationError: its record is damaged; its dispatch, which is submitted all the
            same, takes it to quarantine.
        redis.RedisError: Redis is away.
    """
    for parent in (context.tree.committed, context.tree.deliveries):
        try:
            delivery = read_delivery(parent / delivery_id)
        except FileNotFoundError:
            continue
        except ValidationError:
            context.line.submit(dispatch_step(delivery_id, "normal"))
            raise
        entry = context.settings.ae_title(delivery.ae_title)
        priority = entry.priority if entry else "normal"
        context.line.submit(dispatch_step(delivery_id, priority))
        return
