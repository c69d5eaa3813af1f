"""`penstock up` and `penstock demo`, as a user runs them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from deploy.embedded_server import running_url
from deploy.system import accepts_connections, free_port
from shared.broker import celery_app
from shared.registry import keys
from shared.registry.connection import connect
from shared.registry.workers import workers
from shared.worker_state import WorkerState
from tests.support.flower import write_deadly_rows
from tests.support.gateway import HOST, REPOSITORY
from tests.support.programs import program
from tests.support.samples import sample_file
from tests.support.waiting import wait_for
from workers.steps.health import EXIT_CODE

ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY)}


class Up:
    """`penstock up` with an embedded server, on free ports."""

    def __init__(self, folder: Path, **workers: Any) -> None:
        self.port = free_port(HOST)
        self.flower_port = free_port(HOST, [self.port])
        self.sleeper = f"sleep {self.port}"  # of this gateway alone
        self.log = folder / "up.log"
        self._config = folder / "penstock.toml"
        self._config.write_text(
            tomli_w.dumps(
                {
                    "storage": {"root": "storage", "watermark_percent": 100, "reserve_gb": 0},
                    "receiver": {"port": self.port},
                    "flower": {"port": self.flower_port},
                    "workers": {"drain_timeout": "500ms", **workers},
                    "ae_titles": [{"title": "SLEEPY", "pipeline": "sleep"}],
                    "pipelines": {
                        # A shell, so that the sleeper is a child's child.
                        "sleep": {
                            "kind": "command",
                            "command": ["sh", "-c", f"{self.sleeper} & wait"],
                        }
                    },
                }
            )
        )
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self._argv("up"),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=ENVIRONMENT,
                start_new_session=True,
            )

    def _argv(self, *words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "deploy", "-c", str(self._config), *words]

    def penstock(self, *words: str) -> str:
        run = subprocess.run(
            self._argv(*words), capture_output=True, text=True, env=ENVIRONMENT, check=True
        )
        return run.stdout

    def send(self) -> None:
        """A delivery, whose pipeline sleeps."""
        sent = [program("storescu"), "-aec", "SLEEPY", HOST, str(self.port)]
        subprocess.run([*sent, str(sample_file("CT_small.dcm"))], check=True)

    def pid_of(self, part: str) -> int:
        """Of the newest process of a part."""
        started = re.findall(rf'"part": "{part}", "pid": (\d+), "event": "part_started"', self.said)
        return int(started[-1])

    @property
    def said(self) -> str:
        return self.log.read_text()


@contextmanager
def up(folder: Path, **workers: Any) -> Iterator[Up]:
    gateway = Up(folder, **workers)
    try:
        wait_for(lambda: "send to" in gateway.said, 60)
        yield gateway
    finally:
        if gateway.process.poll() is None:
            gateway.process.kill()
            gateway.process.wait()


def _running(words: str) -> list[str]:
    """The command lines that hold these words."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in found.stdout.splitlines() if words in line]


def test_up_runs_everything_and_ctrl_c_ends_everything_childrens_children_too(
    tmp_path: Path,
) -> None:
    with up(tmp_path) as gateway:
        assert f"{HOST}:{gateway.port}" in gateway.said
        assert f"http://{HOST}:{gateway.flower_port}" in gateway.said
        assert "SLEEPY" in gateway.said
        gateway.send()
        wait_for(lambda: gateway.sleeper in _running(gateway.sleeper))
        assert "running" in gateway.penstock("jobs")

        gateway.process.send_signal(signal.SIGINT)
        assert gateway.process.wait(40) == 0
        assert gateway.sleeper not in _running(gateway.sleeper)
        assert _running(str(tmp_path)) == []
        assert not accepts_connections(HOST, gateway.port)


def is_restarted_when_killed(gateway: Up, part: str) -> None:
    old = gateway.pid_of(part)
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: gateway.pid_of(part) != old, 30)


def test_a_part_that_dies_is_restarted_and_said_so(tmp_path: Path) -> None:
    with up(tmp_path) as gateway:
        for part in ("receiver", "pipelines", "redis"):
            is_restarted_when_killed(gateway, part)
        assert gateway.said.count('"event": "part_died"') == 3
        wait_for(lambda: accepts_connections(HOST, gateway.port))
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(40) == 0


def test_flower_may_die_whatever_of_and_nobody_else_notices(tmp_path: Path) -> None:
    write_deadly_rows(tmp_path / "storage" / "flower")
    with up(tmp_path) as gateway:
        first = gateway.pid_of("flower")
        others = {part: gateway.pid_of(part) for part in ("receiver", "exports", "pipelines")}
        wait_for(lambda: accepts_connections(HOST, gateway.flower_port), 60)
        second = gateway.pid_of("flower")
        assert second != first

        os.kill(second, signal.SIGKILL)
        gateway.send()
        wait_for(lambda: "running" in gateway.penstock("jobs"), 30)
        wait_for(lambda: gateway.pid_of("flower") != second, 30)
        wait_for(lambda: accepts_connections(HOST, gateway.flower_port), 30)
        assert {part: gateway.pid_of(part) for part in others} == others
        assert f"http://{HOST}:{gateway.flower_port}" in gateway.penstock("status")
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(40) == 0


def test_a_worker_that_stops_consuming_is_started_anew(tmp_path: Path) -> None:
    with up(tmp_path, canary_timeout="5s") as gateway:
        url = running_url(tmp_path / "storage" / "redis")
        assert url is not None
        with connect(url) as redis:
            wait_for(lambda: [consumes(state) for state in workers(redis)] == [True] * 2)
            (state,) = (state for state in workers(redis) if state.name == "exports")
            celery_app(url).control.cancel_consumer(keys.CANARIES + state.id)
            wait_for(lambda: gateway.pid_of("exports") != state.pid, 40)
            assert f'"pid": {state.pid}, "exit_code": {EXIT_CODE}' in gateway.said
            wait_for(lambda: [consumes(state) for state in workers(redis)] == [True] * 2)
            gateway.penstock("status")  # which ends with 0 only with workers for all queues
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(40) == 0


def consumes(state: WorkerState) -> bool:
    return state.last_canary is not None


def test_a_hangup_has_receiver_and_workers_read_their_settings_again(tmp_path: Path) -> None:
    with up(tmp_path) as gateway:
        gateway.send()
        wait_for(lambda: "running" in gateway.penstock("jobs"), 30)  # both workers are at work
        parts = {part: gateway.pid_of(part) for part in ("receiver", "exports", "pipelines")}
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: gateway.said.count("settings read") == len(parts), 30)
        assert {part: gateway.pid_of(part) for part in parts} == parts
        assert "part_died" not in gateway.said
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(40) == 0


def test_the_demo_ends_with_success_and_leaves_nothing_running(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-P", "-m", "deploy", "demo"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=ENVIRONMENT | {"TMPDIR": str(tmp_path)},
        timeout=110,
    )
    assert run.returncode == 0, run.stdout
    assert "all identical" in run.stdout
    assert _running(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []
