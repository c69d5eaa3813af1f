"""The reconciler: compares the storage with Redis and says again what was lost.

Every worker process has one; doubled words do no harm.
"""

import contextlib
import time

import structlog
from pydantic import ValidationError

from shared.announce import dispatch_step
from shared.delivery import read_delivery
from shared.job import JobState
from shared.job_folder import JobFolder
from shared.tree import ids_in
from workers.advance import catch_up
from workers.context import WorkerContext
from workers.dispatch import DISPATCHED_FILE

log = structlog.get_logger()

_OVER = {JobState.DONE, JobState.CANCELLED}
_AT_REST = {JobState.FAILED, JobState.HELD}


class Reconciler:
    """`tick` often; it looks at `committed/` each time and at the rest now and then."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._told: dict[str, float] = {}  # committed delivery -> when it was submitted
        self._settled: set[str] = set()  # dispatched deliveries, and jobs that stay as they are
        self._at_rest: dict[str, int] = {}  # job until a person acts -> when its state was written
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
            self._look_at_the_rest()
            self._looked = now

    def _look_at_the_rest(self) -> None:
        epoch = self._context.hasty_gate.epoch()
        if epoch != self._epoch:  # Redis may know nothing of what was settled
            self._settled.clear()
            self._at_rest.clear()
        tree = self._context.tree
        for delivery_id in ids_in(tree.deliveries):
            if delivery_id not in self._settled:
                if (tree.deliveries / delivery_id / DISPATCHED_FILE).exists():
                    self._settled.add(delivery_id)
                else:
                    self._submit_dispatch(delivery_id)
        for job_id in ids_in(tree.jobs):
            if job_id not in self._settled:
                self._advance(job_id)
        self._epoch = epoch

    def _submit_dispatch(self, delivery_id: str) -> None:
        with contextlib.suppress(ValidationError):  # its dispatch takes it to quarantine
            submit_dispatch(self._context, delivery_id)

    def _advance(self, job_id: str) -> None:
        folder = JobFolder(self._context.tree, job_id)
        try:
            written = folder.written()
            if self._at_rest.get(job_id) == written:
                return
            job = catch_up(self._context, folder)
        except FileNotFoundError:
            return  # dispatch is about to write it, or housekeeping has just removed it
        except ValidationError:
            log.error("damaged state.json", job=job_id)
            return
        if job.state in _OVER:
            self._settled.add(job_id)
        elif job.state in _AT_REST:
            self._at_rest[job_id] = written


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
