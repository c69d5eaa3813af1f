"""The supervisor as a real process, over real parts that die and misbehave."""

import fcntl
import json
import os
import pty
import secrets
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deploy.processes.child import LONGEST_DELAY, next_delay
from tests.support.process import pending_signals
from tests.support.waiting import wait_for

SLEEP = ["sleep", "600"]
# It keeps its pid in the file that it is given, and hears no SIGTERM.
STUBBORN = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(600)
"""
# Says its name in the shared file once it is told to stop.
POLITE = """
import pathlib, signal, sys
asked = {signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, asked)
pathlib.Path(sys.argv[1] + "." + sys.argv[2]).touch()
signal.sigwait(asked)
with open(sys.argv[1], "a") as file:
    file.write(sys.argv[2] + "\\n")
"""
# Writes a line for each SIGHUP.
HEARS_HANGUP = """
import pathlib, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
with open(sys.argv[1], "w", buffering=1) as file:
    while signal.sigwait({signal.SIGHUP}):
        file.write("heard\\n")
"""
# Does so only once a file named "go" is beside its own.
HEARS_LATE = """
import pathlib, sys, time
begun = pathlib.Path(sys.argv[3])
begun.touch()
while not (begun.parent / "go").exists():
    time.sleep(0.01)
exec(sys.argv.pop(1))
"""
# Is stubborn, and starts another in a session of its own.
STUBBORN_PAIR = """
import subprocess, sys
stubborn, own, childs = sys.argv[1:]
subprocess.Popen([sys.executable, "-c", stubborn, childs], start_new_session=True)
sys.argv[1] = own
exec(stubborn)
"""
# Starts such a pair, again in a session of its own.
FAMILY = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", *sys.argv[1:]], start_new_session=True)
time.sleep(600)
"""


def become_its(terminal: int) -> None:
    """A `preexec_fn`: makes it the controlling terminal of a new session."""
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


class Run:
    """One supervisor, and all that descends from it, known by a variable of their environment."""

    def __init__(self, folder: Path, stages: list[list[dict[str, Any]]], **given: Any) -> None:
        self._mark = f"PENSTOCK_TEST={secrets.token_hex(8)}"
        self._log = folder / "log"
        terminal = given.pop("terminal", None)
        given = {"stages": stages, "ready_within": 10, "stop_when_ready": False} | given
        with self._log.open("w") as log, (folder / "errors").open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-m", "tests.deploy.supervise", json.dumps(given)],
                env={**os.environ, **dict([self._mark.split("=")])},
                stdout=log,
                stderr=errors,
                start_new_session=terminal is not None,
                preexec_fn=None if terminal is None else partial(become_its, terminal),
            )
        self.errors = folder / "errors"

    def events(self, name: str, part: str | None = None) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [
            line for line in lines if line["event"] == name and part in (None, line.get("part"))
        ]

    def pid_of(self, part: str) -> int:
        """Of the part's first process, once it is started."""
        return int(wait_for(lambda: self.events("part_started", part))[0]["pid"])

    def running(self) -> set[int]:
        """All processes of this run, the supervisor among them."""
        found = set()
        for environment in Path("/proc").glob("[0-9]*/environ"):
            try:
                if self._mark.encode() in environment.read_bytes().split(b"\0"):
                    found.add(int(environment.parent.name))
            except OSError:
                continue  # it has ended meanwhile
        return found

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.process.wait(10)


Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    runs: list[Run] = []

    def start(*stages: list[dict[str, Any]], **given: Any) -> Run:
        runs.append(Run(tmp_path, list(stages), **given))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait()
        for pid in run.running():
            os.kill(pid, signal.SIGKILL)


def python(name: str, program: str, *words: object, **more: Any) -> dict[str, Any]:
    return {"name": name, "argv": [sys.executable, "-c", program, *map(str, words)], **more}


def has_ended(pid: int) -> bool:
    """Gone, or a zombie that its parent has yet to wait for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def read_pid(path: Path) -> int:
    return int(wait_for(lambda: path.exists() and path.read_text()))


def test_the_delay_doubles_up_to_its_longest_and_begins_anew_after_a_minute_of_life() -> None:
    delays = [0.0]
    for _ in range(8):
        delays.append(next_delay(delays[-1], lived=1))
    assert delays[1:] == [0.5, 1, 2, 4, 8, 16, LONGEST_DELAY, LONGEST_DELAY]
    assert next_delay(LONGEST_DELAY, lived=60) == 0.5


def test_a_part_that_is_killed_is_started_again_and_that_is_said(start: Start) -> None:
    run = start([{"name": "victim", "argv": SLEEP}, {"name": "other", "argv": SLEEP}])
    victim, other = run.pid_of("victim"), run.pid_of("other")
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(run.events("part_started", "victim")) == 2)
    [died] = run.events("part_died")
    assert died["part"] == "victim"
    assert died["pid"] == victim
    assert died["exit_code"] == -signal.SIGKILL
    assert died["next_start_in"] == 0.5
    assert run.events("part_started", "victim")[1]["pid"] != victim
    assert len(run.events("part_started", "other")) == 1
    assert not has_ended(other)


def test_a_part_that_keeps_dying_is_started_ever_later(start: Start) -> None:
    run = start([python("hopeless", "raise SystemExit(3)")])
    wait_for(lambda: len(run.events("part_died")) == 3)
    assert [event["next_start_in"] for event in run.events("part_died")] == [0.5, 1, 2]
    assert {event["exit_code"] for event in run.events("part_died")} == {3}
    assert run.stop() == 0


def test_a_program_that_is_not_there_is_tried_again_and_holds_up_no_other(start: Start) -> None:
    run = start([{"name": "absent", "argv": ["/nowhere/program"]}, {"name": "b", "argv": SLEEP}])
    wait_for(lambda: len(run.events("part_not_started", "absent")) == 2)
    assert "/nowhere/program" in run.events("part_not_started")[0]["error"]
    run.pid_of("b")


def test_a_stage_starts_once_the_one_before_is_ready(start: Start, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    server = {"name": "server", "argv": SLEEP, "ready_file": str(ready)}
    run = start([server], [{"name": "worker", "argv": SLEEP}])
    os.kill(run.pid_of("server"), signal.SIGKILL)
    wait_for(lambda: len(run.events("part_started", "server")) == 2)
    assert not run.events("part_started", "worker")
    ready.touch()
    run.pid_of("worker")
    wait_for(lambda: run.events("ready"))


def test_parts_that_never_answer_end_the_run_with_their_names(start: Start, tmp_path: Path) -> None:
    server = {"name": "server", "argv": SLEEP, "ready_file": str(tmp_path / "never")}
    run = start([server], [{"name": "worker", "argv": SLEEP}], ready_within=0.3)
    assert run.process.wait(10) == 1
    assert run.errors.read_text() == "not ready after 0.3 s: server\n"
    assert not run.events("part_started", "worker")
    assert not run.running()


def test_stages_stop_in_reverse_and_nothing_is_left(start: Start, tmp_path: Path) -> None:
    order = tmp_path / "order"

    def polite(name: str) -> dict[str, Any]:
        return python(name, POLITE, order, name, ready_file=f"{order}.{name}")

    run = start([polite("server")], [polite("worker"), polite("flower")], [polite("receiver")])
    wait_for(lambda: run.events("ready"))
    assert len(run.running()) == 5
    assert run.stop() == 0
    first, *middle, last = order.read_text().split()
    assert (first, set(middle), last) == ("receiver", {"worker", "flower"}, "server")
    assert not run.events("part_killed")
    assert not run.running()


def test_ctrl_c_is_for_the_supervisor_alone(start: Start) -> None:
    """A terminal sends SIGINT to its foreground group: the parts are not in it."""
    run = start([{"name": "a", "argv": SLEEP}])
    pid = run.pid_of("a")
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")
    run.signal(signal.SIGINT)
    assert run.process.wait(10) == 0
    assert has_ended(pid)


def test_a_hangup_is_passed_on_to_the_parts_that_read_their_settings_again(
    start: Start, tmp_path: Path
) -> None:
    file = tmp_path / "heard"
    heard = python("heard", HEARS_HANGUP, file, rereads=True)
    run = start([heard, {"name": "other", "argv": SLEEP}])
    wait_for(lambda: file.exists())
    run.signal(signal.SIGHUP)
    wait_for(lambda: file.read_text() == "heard\n")
    run.signal(signal.SIGHUP)
    wait_for(lambda: file.read_text() == "heard\nheard\n")
    assert not run.events("part_died")
    assert run.stop() == 0


def test_a_hangup_that_comes_before_a_part_listens_waits_for_it(
    start: Start, tmp_path: Path
) -> None:
    begun, file = tmp_path / "begun", tmp_path / "heard"
    run = start([python("slow", HEARS_LATE, HEARS_HANGUP, file, begun, rereads=True)])
    wait_for(begun.exists)
    run.signal(signal.SIGHUP)
    wait_for(lambda: signal.SIGHUP in pending_signals(run.pid_of("slow")))
    (tmp_path / "go").touch()
    wait_for(lambda: file.exists() and file.read_text() == "heard\n")
    assert not run.events("part_died")


def test_a_hangup_that_says_that_the_terminal_was_closed_stops_it(
    start: Start, tmp_path: Path
) -> None:
    terminal, its_end = pty.openpty()
    run = start([{"name": "a", "argv": SLEEP}], terminal=its_end)
    os.close(its_end)
    run.pid_of("a")
    os.close(terminal)
    assert run.process.wait(10) == 0
    assert len(run.events("stopping")) == 1
    assert not run.running()


def test_a_part_that_hears_nothing_is_killed_after_its_grace(start: Start, tmp_path: Path) -> None:
    run = start([python("deaf", STUBBORN, tmp_path / "pid", grace=0.3)])
    read_pid(tmp_path / "pid")
    assert run.stop() == 0
    assert run.events("part_killed", "deaf")
    assert not run.running()


def test_a_second_signal_kills_at_once(start: Start, tmp_path: Path) -> None:
    files = tmp_path / "deaf", tmp_path / "child"
    deaf = python("deaf", STUBBORN_PAIR, STUBBORN, *files, grace=600)
    run = start([{"name": "server", "argv": SLEEP}], [deaf])
    for file in files:
        read_pid(file)
    run.signal(signal.SIGINT)
    wait_for(lambda: run.events("stopping"))
    assert not has_ended(run.pid_of("server"))
    run.signal(signal.SIGINT)
    assert run.process.wait(2.5) == 0
    assert not run.running()


def test_what_a_killed_part_leaves_behind_is_ended_before_it_starts_again(
    start: Start, tmp_path: Path
) -> None:
    files = tmp_path / "grandchild", tmp_path / "great-grandchild"
    run = start([python("worker", FAMILY, STUBBORN_PAIR, STUBBORN, *files)])
    left = {read_pid(file) for file in files}
    assert all(os.getsid(pid) == pid for pid in left)
    os.kill(run.pid_of("worker"), signal.SIGKILL)
    wait_for(lambda: len(run.events("part_started", "worker")) == 2)
    assert all(has_ended(pid) for pid in left)
    signals = [event["signal"] for event in run.events("orphan_signalled")]
    assert signals[0] == "SIGTERM"
    assert signals[-1] == "SIGKILL"


def test_stopping_ends_what_the_parts_leave_behind(start: Start, tmp_path: Path) -> None:
    files = tmp_path / "grandchild", tmp_path / "great-grandchild"
    run = start([python("worker", FAMILY, STUBBORN_PAIR, STUBBORN, *files)])
    for file in files:
        read_pid(file)
    assert run.stop() == 0
    assert not run.running()


def test_an_orphan_of_a_living_part_is_waited_for_when_it_ends(
    start: Start, tmp_path: Path
) -> None:
    daemon = """(sh -c 'echo $$ > "$0"; exec sleep 0.2' "$0" &); exec sleep 600"""
    run = start([{"name": "worker", "argv": ["sh", "-c", daemon, str(tmp_path / "pid")]}])
    orphan = read_pid(tmp_path / "pid")
    wait_for(lambda: not Path(f"/proc/{orphan}").exists())
    assert not run.events("orphan_signalled")
    assert not run.events("part_died")


def test_parts_end_with_a_supervisor_that_is_killed(start: Start, tmp_path: Path) -> None:
    order = tmp_path / "order"
    run = start([python("worker", POLITE, order, "worker", ready_file=f"{order}.worker")])
    wait_for(lambda: run.events("ready"))
    run.process.kill()
    wait_for(lambda: not run.running())
    assert order.read_text() == "worker\n"


def test_it_stops_while_a_part_waits_for_its_next_start(start: Start) -> None:
    run = start([python("hopeless", "raise SystemExit(3)")])
    wait_for(lambda: run.events("part_died"))
    assert run.stop() == 0


def test_a_thread_can_ask_it_to_stop(start: Start) -> None:
    run = start([{"name": "a", "argv": SLEEP}], stop_when_ready=True)
    assert run.process.wait(10) == 0
    assert run.events("ready")
    assert not run.running()
