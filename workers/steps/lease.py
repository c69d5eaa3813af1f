"""The lease of a running step, kept alive by a thread of its own."""

import threading
import time

import structlog
from redis import RedisError

from shared.registry.gate import Gate, Verdict
from shared.registry.step import Run

log = structlog.get_logger()

# The part of a lease that may pass without a confirmed beat before a sender must stop: what is left
# is for the instance under way, before somebody else may be sending.
_MAX_UNCONFIRMED = 2 / 3


class LeaseLostError(Exception):
    """The step belongs to another run, or may do so soon."""


class StepWithdrawnError(Exception):
    """A person cancelled or held the job."""


class StoppingError(Exception):
    """This worker is stopping; the step is to be run again, here or elsewhere."""


class Lease:
    """Beats while its block runs. The body asks `check` where it can stop."""

    def __init__(self, gate: Gate, run: Run, period: float, stopping: threading.Event) -> None:
        self.run = run
        self._gate = gate
        self._period = period
        self._max_unconfirmed = gate.leases.running * _MAX_UNCONFIRMED
        self._stopping = stopping
        self._verdict = Verdict.GO_ON
        self._confirmed = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease {run.step.id}", daemon=True)

    def check(self) -> None:
        """Returns while the step may go on.

        Raises:
            LeaseLostError, StepWithdrawnError, StoppingError: it may not.
        """
        if self._verdict is Verdict.LOST:
            raise LeaseLostError
        if self._verdict is Verdict.WITHDRAWN:
            raise StepWithdrawnError
        if self._stopping.is_set():
            raise StoppingError

    def check_before_send(self) -> None:
        """As `check`, and the last confirmed beat is recent: nobody else can be sending."""
        self.check()
        if time.monotonic() - self._confirmed > self._max_unconfirmed:
            raise LeaseLostError

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _beat(self) -> None:
        while not self._ended.wait(self._period):
            begun = time.monotonic()
            try:
                self._verdict = self._gate.beat(self.run)
            except RedisError as error:
                log.warning("beat failed", step=self.run.step.id, error=type(error).__name__)
                continue
            self._confirmed = begun
            if self._verdict is not Verdict.GO_ON:
                return  # whoever runs the step says so, if it is not over already
