"""`kind = "command"`: a program that reads `{input}` and writes `{output}`."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import structlog

from shared.settings.sections import CommandPipeline
from workers.pipelines.kind import AttemptEnd, AttemptFailed, AttemptRun, Succeeded

log = structlog.get_logger()

OUTPUT_LOG = "output.log"
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
_POLL = 0.1  # seconds
_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_CANCEL_TIMEOUT = 30.0  # seconds for the cancel command


class Command:
    def check(self, section: CommandPipeline) -> list[str]:
        program = section.command[0]
        if shutil.which(program, path=section.environment.get("PATH")) is None:
            return [f"the program {program!r} is not found, or may not be run"]
        return []

    def trigger(self, section: CommandPipeline, run: AttemptRun) -> AttemptEnd:
        values = _placeholders(run)
        try:
            process = _start(section, run, values)
        except OSError as error:
            return AttemptFailed(f"the program could not be started: {error.strerror}")
        deadline = time.monotonic() + section.timeout
        with _recorded(process, run.attempt.work / OUTPUT_LOG, section.output_limit_mb):
            try:
                while process.poll() is None:
                    run.lease.check()
                    if time.monotonic() > deadline:
                        return AttemptFailed(f"timed out after {section.timeout:g} s")
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(_POLL)
            finally:
                ended_itself = process.returncode is not None
                _end_group(process)
                if not ended_itself and section.cancel_command:
                    _cancel(section, run, values)
        if process.returncode:
            return AttemptFailed(_describe(process.returncode))
        return Succeeded(str(run.attempt.output.relative_to(run.folder.path)))


def _placeholders(run: AttemptRun) -> dict[str, str]:
    return {
        "input": str(run.folder.input),
        "output": str(run.attempt.output),
        "work": str(run.attempt.work),
        "job": run.job.id,
        "attempt": str(run.attempt.number),
    }


def _start(
    section: CommandPipeline, run: AttemptRun, values: dict[str, str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [word.format_map(values) for word in section.command],
        cwd=run.attempt.work,
        env=_environment(section, values),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # its own group, to be ended whole
        pass_fds=(run.lock.descriptor,),  # while it or a child of it lives, no other attempt runs
    )


def _environment(section: CommandPipeline, values: dict[str, str]) -> dict[str, str]:
    """Clean: what the gateway itself was given (addresses, secrets) is not the program's."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {
        **inherited,
        **section.environment,
        "PENSTOCK_JOB_ID": values["job"],
        "MONAI_INPUTPATH": values["input"],
        "MONAI_OUTPUTPATH": values["output"],
        "HOLOSCAN_INPUT_PATH": values["input"],
        "HOLOSCAN_OUTPUT_PATH": values["output"],
    }


@contextmanager
def _recorded(process: subprocess.Popen[bytes], path: Path, limit_mb: float) -> Iterator[None]:
    """Keeps what the program prints, up to a limit; reads on past it so that it never blocks."""
    assert process.stdout is not None
    recorder = threading.Thread(
        target=_record, args=(process.stdout, path, int(limit_mb * 1e6)), daemon=True
    )
    recorder.start()
    try:
        yield
    finally:
        # A child that left the group may hold the pipe open; it is not waited for.
        recorder.join(1)


def _record(pipe: IO[bytes], path: Path, limit: int) -> None:
    with pipe, path.open("wb", buffering=0) as file:
        while data := pipe.read1(65536):  # type: ignore[attr-defined]
            if limit > 0:
                file.write(data[:limit])
                limit -= len(data)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends the program if it runs, and what it left behind in its group."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _cancel(section: CommandPipeline, run: AttemptRun, values: dict[str, str]) -> None:
    """For work that outlives its client, as a container does."""
    try:
        subprocess.run(
            [word.format_map(values) for word in section.cancel_command],
            cwd=run.attempt.work,
            env=_environment(section, values),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CANCEL_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        log.error("cancel command failed", job=run.job.id, error=type(error).__name__)


def _describe(returncode: int) -> str:
    if returncode > 0:
        return f"exit code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:  # a real-time signal
        name = str(-returncode)
    return f"ended by signal {name}"
