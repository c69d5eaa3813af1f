"""Keeps the parts running, and ends them in order with all that they started."""

import os
import signal
import time
from collections.abc import Callable, Sequence

import structlog

from deploy.processes.child import Child
from deploy.processes.part import Part
from deploy.processes.signal_queue import STOP_SIGNALS, SignalQueue
from deploy.system import adopt_orphans, children
from shared.terminal import Terminal

ORPHAN_GRACE = 3.0  # seconds from SIGTERM to SIGKILL for what a dead part leaves behind
KILLED_WITHIN = 5.0  # seconds; only a process stuck in the kernel outlives SIGKILL so long
_POLL, _IDLE = 0.05, 60.0

log = structlog.get_logger()


class PartsNotReadyError(Exception):
    """Parts that were started did not answer in time; everything was stopped again."""


class Supervisor:
    """Runs parts in stages: a stage starts once the one before is ready, and stops before it does.

    The process that runs it has no other children: it takes any that is not a part for an orphan
    of one.
    """

    def __init__(self, stages: Sequence[Sequence[Part]], ready_within: float = 60) -> None:
        self._stages = [[Child(part) for part in stage] for stage in stages]
        self._children = [child for stage in self._stages for child in stage]
        self._ready_within = ready_within
        self._signals = SignalQueue()
        self._stops = 0
        self._terminal = Terminal()

    def run(self, when_ready: Callable[[], None] = lambda: None) -> None:
        """Blocks until a stop signal (a second one kills at once) or `request_stop`.

        SIGHUP is passed on to the parts that read their settings again, unless it says that our
        terminal was closed: that is a stop signal too.
        Called from the main thread. `when_ready` is called once, when all parts answer.

        Raises:
            PartsNotReadyError: parts of a stage did not answer within `ready_within` seconds.
        """
        adopt_orphans()
        with self._signals:
            try:
                for stage in self._stages:
                    self._start(stage)
                if not self._stops:
                    when_ready()
                while not self._stops:
                    self._tend()
                    self._pause(self._next_start())
            finally:
                for stage in reversed(self._stages):
                    self._stop(stage)

    def request_stop(self) -> None:
        """The same as one SIGTERM, from any thread."""
        self._signals.put(signal.SIGTERM)

    def _start(self, stage: list[Child]) -> None:
        deadline = time.monotonic() + self._ready_within
        for child in stage:
            if not self._stops:
                child.start()
        while not self._stops and not all(child.is_ready for child in stage):
            if time.monotonic() > deadline:
                late = ", ".join(child.part.name for child in stage if not child.is_ready)
                raise PartsNotReadyError(f"not ready after {self._ready_within:g} s: {late}")
            self._tend()
            self._pause(_POLL)

    def _tend(self) -> None:
        """Starts again what has died and is due, once all that it left behind is gone."""
        while [child for child in self._children if child.note_death()]:
            self._end_orphans()
        self._running_orphans()
        for child in self._children:
            if child.due <= time.monotonic() and not self._stops:
                child.start()

    def _next_start(self) -> float:
        due = min(child.due for child in self._children)
        return min(_IDLE, max(0, due - time.monotonic()))

    def _stop(self, stage: list[Child]) -> None:
        begun = time.monotonic()
        for child in stage:
            child.terminate()
        for child in stage:
            while child.pid and not self._hurry and time.monotonic() < begun + child.part.grace:
                self._pause(_POLL)
            child.kill()
        killed = time.monotonic()
        while any(child.pid for child in stage) and time.monotonic() < killed + KILLED_WITHIN:
            self._pause(_POLL)
        self._end_orphans()

    def _end_orphans(self) -> None:
        """SIGTERM, then SIGKILL. As one ends, its own children become ours and have their turn."""
        begun = time.monotonic()
        told: set[tuple[int, int]] = set()
        while orphans := self._running_orphans():
            spent = time.monotonic() - begun
            if spent > ORPHAN_GRACE + KILLED_WITHIN:
                log.error("processes_left", pids=sorted(orphans))
                return
            number = signal.SIGKILL if self._hurry or spent > ORPHAN_GRACE else signal.SIGTERM
            for pid in orphans:
                if (pid, number) not in told:
                    log.info("orphan_signalled", pid=pid, signal=number.name)
                    os.kill(pid, number)
                    told.add((pid, number))
            self._pause(_POLL)

    def _running_orphans(self) -> set[int]:
        """Children that are no part's process; those of them that have ended are reaped."""
        parts = {child.pid for child in self._children}
        return {pid for pid in children() - parts if os.waitpid(pid, os.WNOHANG) == (0, 0)}

    @property
    def _hurry(self) -> bool:
        return self._stops > 1

    def _pause(self, seconds: float) -> None:
        """Until a signal comes, at most; counts those that ask to stop, passes SIGHUP on."""
        for number in self._signals.wait(seconds):
            if number in STOP_SIGNALS or (number == signal.SIGHUP and self._terminal.was_closed):
                self._stops += 1
                log.info("stopping", at_once=self._hurry)
            elif number == signal.SIGHUP:
                for child in self._children:
                    child.reread()
