"""`kind = "command"`: a program that reads `{input}` and writes `{output}`."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import structlog

from shared.job_folder import Attempt
from shared.settings.fields import format_size
from shared.settings.sections import CommandPipeline
from workers.pipelines.attempt_input import make_input, remove_input
from workers.pipelines.disk_use import DiskLimit
from workers.pipelines.given import Given
from workers.pipelines.kind import AttemptEnd, AttemptFailed, AttemptRun, NotNow, Succeeded
from workers.pipelines.leftovers import end_leftovers
from workers.pipelines.output_log import OutputLog
from workers.pipelines.program import Program, confined
from workers.pipelines.progress import Progress

log = structlog.get_logger()

_CANCEL_TIMEOUT = 30.0  # seconds for the cancel command


class Command:
    def check(self, section: CommandPipeline) -> list[str]:
        faults = []
        program = section.command[0]
        if "/" in program and not Path(program).is_absolute():
            faults.append(f"the program {program!r} needs its whole path: it runs in {{work}}")
        elif shutil.which(program, path=section.environment.get("PATH")) is None:
            faults.append(f"the program {program!r} is not found, or may not be run")
        if section.nice and shutil.which("nice") is None:
            faults.append("nice: the program 'nice' is not found")
        if section.memory_limit is not None and shutil.which("prlimit") is None:
            faults.append("memory_limit: the program 'prlimit' is not found")
        return faults

    def trigger(self, section: CommandPipeline, run: AttemptRun) -> AttemptEnd:
        _cancel_lost_attempts(section, run)
        try:
            make_input(run.folder, run.attempt, section.input)
            run.attempt.begin()
        except OSError as error:
            remove_input(run.attempt)
            reason = f"the input could not be laid out: {error.strerror}"
            return NotNow(reason, section.give_up_after)
        try:
            return _run(section, run)
        finally:
            run.attempt.end()
            remove_input(run.attempt)


def _run(section: CommandPipeline, run: AttemptRun) -> AttemptEnd:
    given = Given(section, run.job.id, run.attempt)
    final = section.retry == "tempfail"
    try:
        program = Program(
            confined(section, given.words(section.command)),
            folder=run.attempt.work,
            environment=given.environment,
            lock=run.lock.descriptor,
            output=OutputLog(run.attempt.printed, int(section.output_limit_mb * 1e6)),
            progress=Progress(run.tell_progress),
        )
    except OSError as error:
        return AttemptFailed(f"the program could not be started: {error.strerror}", final)
    ended_by_us = "interrupted"
    try:
        with program:
            ended_by_us = _watch(section, run, program)
    finally:
        if ended_by_us or program.returncode:  # which may be the end of a client alone
            _cancel(section, run.job.id, run.attempt)
        end_leftovers(run.job.id)
    if ended_by_us:
        return AttemptFailed(ended_by_us, final)
    return _judge(section, run, program.returncode)


def _watch(section: CommandPipeline, run: AttemptRun, program: Program) -> str:
    """Until the program ends, or is to be ended: then says why."""
    deadline = time.monotonic() + section.timeout
    disk = DiskLimit(run.attempt.path, section.disk_limit)
    while program.returncode is None:
        run.lease.check()
        if time.monotonic() > deadline:
            return f"timed out after {section.timeout:g} s"
        if disk.is_passed():
            return f"it wrote more than its disk_limit, {format_size(disk.limit)}"
        program.listen()
    return ""


def _judge(section: CommandPipeline, run: AttemptRun, returncode: int | None) -> AttemptEnd:
    if returncode == 0:
        return Succeeded(str(run.attempt.output.relative_to(run.folder.path)))
    assert returncode is not None
    reason = _describe(returncode)
    if returncode in section.tempfail_exit_codes:
        return NotNow(reason, section.give_up_after)
    return AttemptFailed(reason, final=section.retry == "tempfail")


def _describe(returncode: int) -> str:
    if returncode > 0:
        return f"exit code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:  # a real-time signal
        name = str(-returncode)
    return f"ended by signal {name}"


def _cancel_lost_attempts(section: CommandPipeline, run: AttemptRun) -> None:
    """A worker that was killed could not cancel what its attempt had started."""
    for attempt in run.folder.running_attempts():
        _cancel(section, run.job.id, attempt)
        attempt.end()


def _cancel(section: CommandPipeline, job_id: str, attempt: Attempt) -> None:
    """For work that outlives its client, as a container does."""
    if not section.cancel_command:
        return
    given = Given(section, job_id, attempt)
    try:
        subprocess.run(
            given.words(section.cancel_command),
            cwd=attempt.work,
            env=given.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CANCEL_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        log.error("cancel command failed", job=job_id, error=type(error).__name__)
