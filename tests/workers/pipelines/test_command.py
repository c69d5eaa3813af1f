"""Real programs, mostly of one line of shell; the shell is theirs, never ours."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.job_folder import Attempt, JobFolder
from shared.job_steps import pipeline_step
from shared.locked_file import LockedFile
from shared.registry import keys
from shared.registry.step import Queue
from shared.settings.sections import CommandPipeline
from tests.support.waiting import wait_for
from tests.workers.site import Given, Site
from workers.pipelines import disk_use as disk_use_module
from workers.pipelines import program as program_module
from workers.pipelines.command import Command
from workers.pipelines.kind import AttemptEnd, AttemptFailed, AttemptRun, NotNow, Succeeded
from workers.pipelines.kinds import kind_of
from workers.steps.lease import Lease, LeaseLostError, StepWithdrawnError, StoppingError

SUCCESS = Succeeded("attempts/1/output")
# A child goes on in a session of its own; the program goes on once that is so.
ESCAPE = "setsid sh -c 'echo $$ > pid; exec sleep 60' & until [ -s pid ]; do sleep 0.01; done"
# One that nobody can tell for the program's: only what it inherited is still open.
HIDE = ESCAPE.replace("setsid", "env -i setsid")


class Trial:
    """The first attempt of a job with one instance."""

    def __init__(self, folder: JobFolder, lease: Lease) -> None:
        self.folder = folder
        self.lease = lease
        self.attempt: Attempt = folder.new_attempt()
        lock = folder.try_run_lock()
        assert lock is not None
        self.lock: LockedFile = lock
        self.told: list[float] = []  # how far it says that it is

    def run(self, *command: str, **options: Any) -> AttemptEnd:
        known = {"kind": "command", "timeout": "20s"} | options
        section = CommandPipeline(command=command, **known)
        job = self.folder.read()
        tell = self.told.append
        run = AttemptRun(job, self.folder, self.attempt, self.lock, self.lease, tell)
        return Command().trigger(section, run)

    def shell(self, script: str, **options: Any) -> AttemptEnd:
        return self.run("sh", "-c", script, **options)

    @property
    def printed(self) -> bytes:
        return self.attempt.printed.read_bytes()

    def left(self, name: str) -> str:
        """What the program wrote into a file of its working folder."""
        return (self.attempt.work / name).read_text()

    def pid(self, name: str = "pid") -> int:
        """A process id that the program wrote down."""
        path = self.attempt.work / name
        return int(wait_for(lambda: path.exists() and path.read_text().strip()) or 0)


@pytest.fixture
def trial(site: Site) -> Iterator[Trial]:
    folder = site.folder(site.dispatched(Given("1.2.3")))
    with site.lease(site.start(pipeline_step(folder.read()))) as lease:
        yield Trial(folder, lease)


def alive(pid: int) -> bool:
    """Whether a process still does anything: a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


# What the program is given


def test_placeholders_stand_for_the_jobs_folders_and_ids(trial: Trial) -> None:
    words = ("{input}", "{output}", "{work}", "{job}", "{attempt}", "-v={input}:/in", "{{x}}")
    words += ("{uid}:{gid}",)
    assert trial.run("printf", "%s\\n", *words) == SUCCESS
    job, attempt = trial.folder.id, trial.attempt
    assert trial.printed.decode().splitlines() == [
        str(attempt.input),
        str(attempt.output),
        str(attempt.work),
        job,
        "1",
        f"-v={attempt.input}:/in",
        "{x}",
        f"{os.getuid()}:{os.getgid()}",
    ]


def test_the_program_reads_its_input_and_writes_its_output(trial: Trial) -> None:
    assert trial.run("cp", "-r", "{input}/.", "{output}") == SUCCESS
    (path,) = trial.attempt.output.iterdir()
    assert path.read_bytes() == (trial.folder.input / "1.2.3.dcm").read_bytes()


def test_the_environment_names_the_folders_and_is_clean(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_REDIS__URL", "redis://:secret@localhost")
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    given = {"MODEL": "brain", "MONAI_INPUTPATH": "/elsewhere"}
    assert trial.run("env", environment=given) == SUCCESS
    environment = dict(line.split("=", 1) for line in trial.printed.decode().splitlines())
    inherited = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ"} & set(os.environ)
    own = {"PENSTOCK_JOB_ID", "PENSTOCK_ATTEMPT", "MODEL"}
    folders = {f"{name}_{way}PATH" for name in ("MONAI",) for way in ("INPUT", "OUTPUT")}
    folders |= {"HOLOSCAN_INPUT_PATH", "HOLOSCAN_OUTPUT_PATH"}
    assert set(environment) == inherited | own | folders
    assert environment["PENSTOCK_JOB_ID"] == trial.folder.id
    assert environment["MODEL"] == "brain"
    assert environment["TZ"] == "Europe/Berlin"
    for name in folders:
        expected = trial.attempt.input if "INPUT" in name else trial.attempt.output
        assert environment[name] == str(expected)


def test_no_shell_sees_the_command(trial: Trial) -> None:
    words = ("a; touch hacked", "$HOME", "*", "`id`", "two words", "")
    assert trial.run("printf", "%s|", *words) == SUCCESS
    assert trial.printed.decode() == "".join(f"{word}|" for word in words)
    assert list(trial.attempt.work.iterdir()) == [trial.attempt.printed]


@pytest.fixture
def open_stdin() -> Iterator[None]:
    """A standard input on which nothing comes, as a terminal's."""
    reading, writing = os.pipe()
    saved = os.dup(0)
    os.dup2(reading, 0)
    yield
    os.dup2(saved, 0)
    for descriptor in (reading, writing, saved):
        os.close(descriptor)


def test_it_runs_in_its_working_folder_with_nothing_to_read(trial: Trial, open_stdin: None) -> None:
    assert trial.shell("cat; pwd", timeout="5s") == SUCCESS
    assert trial.printed.decode() == f"{trial.attempt.work}\n"


# How it ends


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "exit code 3"),
        ("kill -KILL $$", "ended by signal SIGKILL"),
        ("kill -40 $$", "ended by signal 40"),
    ],
)
def test_anything_but_exit_code_0_is_a_failed_attempt(
    trial: Trial, script: str, reason: str
) -> None:
    assert trial.shell(script) == AttemptFailed(reason)


def test_a_program_that_is_not_there_is_a_failed_attempt(trial: Trial) -> None:
    end = trial.run("/no/such/program")
    assert end == AttemptFailed("the program could not be started: No such file or directory")


def test_the_reason_has_no_word_of_the_programs_own(trial: Trial) -> None:
    assert trial.shell("echo DOE^JOHN; exit 1") == AttemptFailed("exit code 1")


def test_a_timeout_ends_the_whole_group_even_a_child_that_ignores_sigterm(trial: Trial) -> None:
    begun = time.monotonic()
    end = trial.shell(
        "echo $$ > leader; (trap '' TERM; sleep 60 & echo $! > pid; wait) & wait",
        timeout="500ms",
    )
    assert end == AttemptFailed("timed out after 0.5 s")
    assert 0.5 <= time.monotonic() - begun < 5
    leader, child = trial.pid("leader"), trial.pid()
    wait_for(lambda: not alive(leader) and not alive(child))


def test_a_program_that_ignores_sigterm_is_killed_after_a_grace(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_module, "_GRACE", 0.3)
    begun = time.monotonic()
    end = trial.shell("trap '' TERM; echo $$ > pid; sleep 60; sleep 60", timeout="200ms")
    assert end == AttemptFailed("timed out after 0.2 s")
    assert 0.5 <= time.monotonic() - begun < 5
    assert not alive(trial.pid())


def test_a_program_may_tidy_up_before_it_is_killed(trial: Trial) -> None:
    script = "trap 'echo tidy > tidied; exit' TERM; while :; do sleep 0.05; done"
    assert trial.shell(script, timeout="300ms") == AttemptFailed("timed out after 0.3 s")
    assert trial.left("tidied") == "tidy\n"


def test_a_child_left_in_the_group_is_ended_after_a_success(trial: Trial) -> None:
    assert trial.shell("sleep 60 & echo $! > pid") == SUCCESS
    child = trial.pid()
    wait_for(lambda: not alive(child))


@pytest.mark.parametrize("script", [ESCAPE, f"({ESCAPE}) > /dev/null 2>&1 &wait", "sleep 60 &"])
def test_a_child_that_left_the_group_is_ended_too(trial: Trial, script: str) -> None:
    assert trial.shell(script) == SUCCESS
    wait_for(lambda: not program_of(trial))


def program_of(trial: Trial) -> list[str]:
    """The processes whose environment has the job's id in it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if trial.folder.id.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


def test_a_child_that_hides_with_the_output_open_is_not_waited_for(trial: Trial) -> None:
    begun = time.monotonic()
    assert trial.shell(f"echo printed; {HIDE}") == SUCCESS
    assert time.monotonic() - begun < 5
    os.kill(trial.pid(), signal.SIGKILL)
    assert trial.printed == b"printed\n"


# What it prints


def test_both_outputs_are_recorded_in_order(trial: Trial) -> None:
    assert trial.shell("echo one; echo two >&2; echo three") == SUCCESS
    assert trial.printed == b"one\ntwo\nthree\n"


def test_what_a_failing_program_printed_is_recorded(trial: Trial) -> None:
    trial.shell("echo no model; exit 2")
    assert trial.printed == b"no model\n"


def test_of_output_beyond_the_limit_its_beginning_and_its_end_are_kept(trial: Trial) -> None:
    begun = time.monotonic()
    script = "echo first; head -c 50000000 /dev/zero; echo last; touch finished"
    assert trial.shell(script, output_limit_mb=0.1) == SUCCESS
    assert time.monotonic() - begun < 10
    note = b"\n[%d bytes are left out here]\n" % (50_000_011 - 100_000)
    assert trial.printed == b"first\n" + bytes(49_994) + note + bytes(49_995) + b"last\n"
    assert trial.left("finished") == ""


# Never two runs at once


def test_while_a_hidden_child_lives_no_other_attempt_gets_the_lock(trial: Trial) -> None:
    assert trial.shell(f"({HIDE}) > /dev/null 2>&1") == SUCCESS
    trial.lock.close()  # as when the worker is gone
    assert trial.folder.try_run_lock() is None
    os.kill(trial.pid(), signal.SIGKILL)
    lock = wait_for(trial.folder.try_run_lock)
    assert lock is not None
    lock.close()


def test_the_program_itself_holds_the_lock_while_it_runs(trial: Trial) -> None:
    ends: list[AttemptEnd] = []
    run = threading.Thread(target=lambda: ends.append(trial.shell("echo $$ > pid; sleep 60")))
    run.start()
    program = trial.pid()
    trial.lock.close()
    assert trial.folder.try_run_lock() is None
    os.kill(program, signal.SIGKILL)
    run.join()
    assert ends == [AttemptFailed("ended by signal SIGKILL")]
    lock = wait_for(trial.folder.try_run_lock)
    assert lock is not None
    lock.close()


# Interrupted


def interrupted(site: Site, trial: Trial, error: type[Exception], **options: Any) -> None:
    """Runs a program that sleeps, while a condition for `error` is there or comes."""
    begun = time.monotonic()
    with pytest.raises(error):
        trial.shell("echo $$ > pid; sleep 60", **options)
    assert time.monotonic() - begun < 5
    assert not alive(trial.pid())


def test_a_stopping_worker_ends_its_program(site: Site, trial: Trial) -> None:
    threading.Timer(0.3, site.context.stopping.set).start()
    interrupted(site, trial, StoppingError)


@pytest.fixture
def beating(make_site: Any) -> tuple[Site, Trial]:
    """A trial whose lease beats often."""
    site: Site = make_site(workers={"beat": "20ms", "running_lease": "1s"})
    folder = site.folder(site.dispatched(Given("1.2.3")))
    lease = site.lease(site.start(pipeline_step(folder.read())))
    return site, Trial(folder, lease)


def test_withdrawing_ends_the_program(beating: tuple[Site, Trial]) -> None:
    site, trial = beating
    assert site.gate.withdraw(trial.folder.id)
    with trial.lease:
        interrupted(site, trial, StepWithdrawnError)


def test_a_lost_lease_ends_the_program(beating: tuple[Site, Trial]) -> None:
    site, trial = beating
    site.redis.zadd(keys.LEASES + "pipeline:keep", {trial.folder.id: 0})
    site.gate.announce_places("tests", {Queue.PIPELINE: 1})
    assert site.gate.grant(Queue.PIPELINE)
    with trial.lease:
        interrupted(site, trial, LeaseLostError)


# Work that outlives its client


def test_the_cancel_command_is_run_after_a_timeout_in_the_same_clean_environment(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_REDIS__URL", "redis://:secret@localhost")
    cancel = ("sh", "-c", 'env > cancelled; echo "$@" > words', "sh", "{job}-{attempt}", "a;b")
    options = {"cancel_command": cancel, "environment": {"DOCKER_HOST": "tcp://gpu"}}
    trial.shell("sleep 60", timeout="200ms", **options)
    assert trial.left("words") == f"{trial.folder.id}-1 a;b\n"
    environment = trial.left("cancelled")
    assert "DOCKER_HOST=tcp://gpu\n" in environment
    assert "secret" not in environment


def test_the_cancel_command_is_run_when_the_worker_stops(site: Site, trial: Trial) -> None:
    site.context.stopping.set()
    with pytest.raises(StoppingError):
        trial.shell("sleep 60", cancel_command=("touch", "cancelled"))
    assert trial.left("cancelled") == ""


@pytest.mark.parametrize(
    ("end", "cancelled"), [("exit 0", False), ("exit 1", True), ("kill -9 $$", True)]
)
def test_the_cancel_command_is_not_run_for_a_program_that_ended_well_by_itself(
    trial: Trial, end: str, cancelled: bool
) -> None:
    trial.shell(end, cancel_command=("touch", "cancelled"))
    assert (trial.attempt.work / "cancelled").exists() == cancelled


@pytest.mark.parametrize("cancel", [("false",), ("/no/such/program",)])
def test_a_cancel_command_that_fails_is_said_and_changes_nothing(
    trial: Trial, cancel: tuple[str, ...]
) -> None:
    with capture_logs() as lines:
        end = trial.shell("sleep 60", timeout="200ms", cancel_command=cancel)
    assert end == AttemptFailed("timed out after 0.2 s")
    assert "cancel command failed" in [line["event"] for line in lines]


# Checked beforehand


def section(*command: str, **options: Any) -> CommandPipeline:
    return CommandPipeline(kind="command", command=command, **options)


def test_a_program_that_is_there_passes_the_check() -> None:
    assert Command().check(section("sh", "-c", "exit 1")) == []
    assert isinstance(kind_of(section("sh")), Command)


def test_a_program_that_is_not_found_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fault,) = Command().check(section("no-such-program"))
    assert "no-such-program" in fault
    assert Command().check(section("sh", environment={"PATH": str(tmp_path)}))
    (tmp_path / "file").write_text("not to be run")
    assert Command().check(section(str(tmp_path / "file")))
    monkeypatch.chdir("/")
    (fault,) = Command().check(section("bin/sh"))
    assert "whole path" in fault


def test_the_tools_that_the_limits_take_are_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limits = {"nice": 5, "memory_limit": "1GB"}
    assert Command().check(section("/bin/sh", **limits)) == []
    monkeypatch.setenv("PATH", str(tmp_path))
    assert len(Command().check(section("/bin/sh", **limits))) == 2


# Trying again


def test_ex_tempfail_is_no_attempt_and_bounded_in_time(trial: Trial) -> None:
    assert trial.shell("exit 75", give_up_after="1h") == NotNow("exit code 75", 3600)


def test_which_exit_codes_mean_not_now_is_a_setting(trial: Trial) -> None:
    assert isinstance(trial.shell("exit 125", tempfail_exit_codes=[75, 125]), NotNow)


@pytest.mark.parametrize("script", ["exit 1", "kill -TERM $$", "sleep 60"])
def test_other_ends_are_final_where_only_a_tempfail_is_to_be_tried_again(
    trial: Trial, script: str
) -> None:
    end = trial.shell(script, retry="tempfail", timeout="500ms")
    assert isinstance(end, AttemptFailed)
    assert end.final


# Its limits


def test_its_niceness_is_as_set_and_its_childrens_too(trial: Trial) -> None:
    assert trial.shell("nice; sh -c nice", nice=7) == SUCCESS
    assert trial.printed.split() == [b"7", b"7"]


def test_memory_beyond_the_limit_is_not_had_and_children_have_the_limit_too(trial: Trial) -> None:
    take = "python3 -c 'bytearray(400_000_000)'"
    assert trial.shell(f"{take} && {take}", memory_limit="1GB") == SUCCESS
    assert trial.shell(f'sh -c "{take}"', memory_limit="300MB") == AttemptFailed("exit code 1")
    assert b"MemoryError" in trial.printed


def test_behind_its_limits_it_still_holds_the_lock_and_ends_at_its_timeout(trial: Trial) -> None:
    limits: dict[str, Any] = {"nice": 5, "memory_limit": "1GB", "timeout": "500ms"}
    end = trial.shell("echo $$ > pid; ls -l /proc/self/fd; exec sleep 60", **limits)
    assert end == AttemptFailed("timed out after 0.5 s")
    assert b"run.lock" in trial.printed
    assert not alive(trial.pid())


def test_the_limits_need_no_tool_on_the_pipelines_own_path(trial: Trial, tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to("/bin/true")
    options = {"environment": {"PATH": str(tmp_path)}, "nice": 5, "memory_limit": "1GB"}
    assert trial.run("model", **options) == SUCCESS


def test_a_program_that_writes_more_than_its_disk_limit_is_ended(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_use_module, "_PERIOD", 0.05)
    script = "while :; do head -c 1000000 /dev/zero >> $MONAI_OUTPUTPATH/big; done"
    end = trial.shell(script, disk_limit="20MB")
    assert end == AttemptFailed("it wrote more than its disk_limit, 20MB")


# Its input


def test_what_it_does_in_its_input_folder_is_not_done_to_the_jobs(trial: Trial) -> None:
    script = 'cd "$MONAI_INPUTPATH"; rm *.dcm; echo mine > 1.2.3.dcm; touch further.dcm'
    assert trial.shell(script) == SUCCESS
    (path,) = trial.folder.input.iterdir()
    assert path.samefile(trial.folder.deliveries / trial.folder.read().delivery / path.name)
    assert not trial.attempt.input.exists()


def test_a_copy_may_be_written_to(trial: Trial) -> None:
    before = (trial.folder.input / "1.2.3.dcm").read_bytes()
    script = 'cd "$MONAI_INPUTPATH"; echo mine >> 1.2.3.dcm; cp 1.2.3.dcm "$MONAI_OUTPUTPATH"'
    assert trial.shell(script, input="copy") == SUCCESS
    assert (trial.folder.input / "1.2.3.dcm").read_bytes() == before
    assert (trial.attempt.output / "1.2.3.dcm").read_bytes() == before + b"mine\n"


# How far it is


def test_it_says_how_far_it_is_and_its_words_are_not_told(trial: Trial) -> None:
    script = "echo PENSTOCK_PROGRESS 0.25 DOE^JOHN; echo PENSTOCK_PROGRESS 0.5; sleep 0.3"
    assert trial.shell(script) == SUCCESS
    assert trial.told in ([0.25], [0.5])  # as its pieces came
    assert b"0.25 DOE^JOHN" in trial.printed


# What a lost attempt left running


def test_what_a_lost_attempt_started_elsewhere_is_cancelled_before_the_next(trial: Trial) -> None:
    trial.attempt.begin()  # and then its worker was killed
    trial.attempt = trial.folder.new_attempt()
    cancel = ("sh", "-c", "echo $0 >> ../../../cancelled", "{attempt}")
    end = trial.run("cp", "../../../cancelled", "{work}/before", cancel_command=cancel)
    assert end == Succeeded("attempts/2/output")
    assert trial.left("before") == "1\n"
    assert trial.folder.running_attempts() == []
