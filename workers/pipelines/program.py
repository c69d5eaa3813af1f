"""A program: started within its limits, its output read as it comes, ended with all it started."""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.settings.sections import CommandPipeline
from workers.pipelines.output_log import OutputLog
from workers.pipelines.progress import Progress

_POLL = 0.1  # seconds
_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_LAST_WORDS = 1.0  # seconds for what is in the pipe at the end


def confined(section: CommandPipeline, words: Sequence[str]) -> list[str]:
    """The command behind the tools that lower its priority and its limits, and become it.

    Programs that exec keep pid, group and descriptors, and no code of ours runs between fork and
    exec, where a process with threads may not do much.
    """
    before: list[str] = []
    if section.nice:
        before += [_tool("nice"), "-n", str(section.nice)]
    if section.memory_limit is not None:
        before += [_tool("prlimit"), f"--data={section.memory_limit}", "--"]
    return [*before, *words]


def _tool(name: str) -> str:
    """Found where this process would, not where the pipeline's own PATH leads."""
    return shutil.which(name) or name


class Program:
    """Its block ends with the whole process group."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        lock: int,
        output: OutputLog,
        progress: Progress,
    ) -> None:
        """
        Raises:
            OSError: it could not be started.
        """
        self._output = output
        self._progress = progress
        self._process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its own group, to be ended whole
            pass_fds=(lock,),  # while it or a child of it lives, no other attempt runs
        )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout.fileno()
        os.set_blocking(self._pipe, False)
        self._printed = select.poll()
        self._printed.register(self._pipe, select.POLLIN)
        self._silent = False  # nobody has the pipe open any more

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def listen(self) -> None:
        """Takes in what it prints; returns after a moment, with or without."""
        if self._silent:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_POLL)
        elif self._printed.poll(_POLL * 1000):
            self._read()
        self._progress.tell()

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it if it runs, and what it left behind in its group."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            self._listen_until(time.monotonic() + _GRACE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        # A child that left the group may print on for ever; it is not waited for.
        deadline = time.monotonic() + _LAST_WORDS
        while time.monotonic() < deadline and self._read():
            pass
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._output.close()

    def _listen_until(self, deadline: float) -> None:
        while self._process.poll() is None and time.monotonic() < deadline:
            self.listen()

    def _read(self) -> bool:
        """Whether there was something."""
        try:
            data = os.read(self._pipe, 1 << 16)
        except BlockingIOError:
            return False
        self._silent = not data
        self._output.write(data)
        self._progress.take(data)
        return bool(data)
