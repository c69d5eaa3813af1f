"""The process of one part: its start, its death, and when it is started again."""

import math
import os
import signal
import subprocess
import time

import structlog

from deploy.processes.part import Part
from deploy.system import dying_with_us

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0  # seconds before a dead part is started again
STEADY = 60.0  # seconds of life after which a death counts as a first one

log = structlog.get_logger()


def next_delay(last: float, lived: float) -> float:
    """Seconds before the next start, after `last` before this one and a life of `lived`."""
    if lived >= STEADY or not last:
        return FIRST_DELAY
    return min(2 * last, LONGEST_DELAY)


class Child:
    """Not running and not due at first; `due` is when to call `start`, by the monotonic clock."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.due = math.inf
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._delay = 0.0

    def start(self) -> None:
        """Runs the part in a session of its own; a start that fails is due again, and logged."""
        self._started, self.due = time.monotonic(), math.inf
        try:
            self._process = subprocess.Popen(
                self.part.argv,
                env={**os.environ, **self.part.environment},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=self.part.descriptors,
                preexec_fn=dying_with_us(),
            )
        except OSError as error:
            log.error("part_not_started", part=self.part.name, error=str(error), **self._again())
        else:
            log.info("part_started", part=self.part.name, pid=self._process.pid)

    def note_death(self) -> bool:
        """Whether it died since the last look; the next start is then set, and logged."""
        if self._process is None or (code := self._process.poll()) is None:
            return False
        pid, self._process = self._process.pid, None
        log.warning("part_died", part=self.part.name, pid=pid, exit_code=code, **self._again())
        return True

    def _again(self) -> dict[str, float]:
        now = time.monotonic()
        self._delay = next_delay(self._delay, now - self._started)
        self.due = now + self._delay
        return {"next_start_in": self._delay}

    @property
    def pid(self) -> int | None:
        """Of the process that runs now; None when none does."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        if self.pid is None:
            return False
        return self.part.is_ready is None or self.part.is_ready()

    def reread(self) -> None:
        """Has the part read its settings again, if it can."""
        if self.part.rereads and self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def terminate(self) -> None:
        """Asks the part alone: what becomes of its own children is the part's to decide."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Ends its whole process group, if it still runs."""
        if (pid := self.pid) is not None:
            log.warning("part_killed", part=self.part.name, pid=pid)
            os.killpg(pid, signal.SIGKILL)
