"""A whole gateway under test: each part a process of its own, to be killed or stopped alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tomli_w
from redis import Redis

from deploy.embedded_server import EmbeddedServer
from deploy.system import accepts_connections, free_port
from shared.job_state import JobState
from shared.registry.connection import connect
from shared.registry.views import HistoryLine, JobView, history, list_jobs
from shared.tree import StorageTree
from tests.support.programs import program
from tests.support.waiting import wait_for

HOST = "127.0.0.1"
REPOSITORY = Path(__file__).parents[2]

# Periods of seconds and minutes, shortened so that a test can wait for them.
_SHORT: dict[str, Any] = {
    "workers": {
        "tick": "100ms",
        "beat": "200ms",
        "granted_lease": "2s",
        "running_lease": "1500ms",
        "reconcile": "500ms",
        "housekeeping": "500ms",
        "drain_timeout": "5s",
    },
    "exporter": {"retry_first": "200ms", "retry_longest": "1s"},
}

ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(REPOSITORY),
    "FLOWER_UNAUTHENTICATED_API": "true",  # for its tests; unset, its API is closed
}

VERBS = {
    "receiver": ["receive"],
    "exports": ["work", "--queues", "dispatch,export", "--name", "exports"],
    "exports-2": ["work", "--queues", "dispatch,export", "--name", "exports-2"],
    "exports-3": ["work", "--queues", "dispatch,export", "--name", "exports-3"],
    "dispatch": ["work", "--queues", "dispatch", "--name", "dispatch"],
    "sender": ["work", "--queues", "export", "--name", "sender"],
    "sender-2": ["work", "--queues", "export", "--name", "sender-2"],
    "pipelines-2": ["work", "--queues", "pipeline", "--name", "pipelines-2"],
    "pipelines": ["work", "--queues", "pipeline", "--name", "pipelines"],
    "flower": ["flower"],
}


class Gateway:
    """Started by `with`; the sections given are laid over short periods and a free port.

    With `periods={}` everything takes as long as the product would.
    """

    def __init__(
        self,
        folder: Path,
        parts: Sequence[str] = ("receiver", "exports", "pipelines"),
        periods: Mapping[str, Any] = _SHORT,
        environment: Mapping[str, str] = MappingProxyType({}),
        **sections: Any,
    ) -> None:
        self.folder = folder
        self.port = free_port(HOST)
        self.flower_port = free_port(HOST, [self.port])
        self.tree = StorageTree(folder / "storage")
        self.config = folder / "penstock.toml"
        self.server = EmbeddedServer(folder / "storage" / "redis")
        self.parts = parts
        self._periods = periods
        self._environment = {**ENVIRONMENT, **environment}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.configure(**sections)

    def configure(self, **sections: Any) -> None:
        """Writes the settings file, for what is started or reads it from now on."""
        settings: dict[str, Any] = {
            "storage": {"root": "storage", "watermark_percent": 100, "reserve_gb": 0},
            "receiver": {"port": self.port},
            "flower": {"port": self.flower_port},
            "redis": {"url": self.server.url},
            **self._periods,
        }
        for name, section in sections.items():
            settings[name] = (
                settings.get(name, {}) | section if isinstance(section, dict) else section
            )
        self.config.write_text(tomli_w.dumps(settings))

    @property
    def redis(self) -> Redis:
        return connect(self.server.url)

    def __enter__(self) -> "Gateway":
        self.tree.create()
        self.server.start()
        for name in self.parts:
            self.start(name)
        if "receiver" in self.parts:
            wait_for(lambda: accepts_connections(HOST, self.port), 30)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.server.stop()
        if kind is not None:
            for log in sorted(self.folder.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text()[-6000:]}")

    def start(self, name: str, module: str = "deploy", **environment: str) -> None:
        """`module` may be one that does something to the program before it runs it."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-P", "-m", module, "-c", str(self.config), *VERBS[name]],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self._environment | environment,
            )

    def process(self, name: str) -> subprocess.Popen[bytes]:
        return self._running[name]

    def log(self, name: str) -> str:
        """What a part has said so far."""
        return (self.folder / f"{name}.log").read_text()

    def kill(self, name: str) -> None:
        """By SIGKILL: no cleaning up, no last words."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    @contextmanager
    def suspended(self, name: str) -> Iterator[None]:
        """Stopped by SIGSTOP for the length of the block."""
        self.process(name).send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process(name).send_signal(signal.SIGCONT)

    @contextmanager
    def suspended_redis(self) -> Iterator[None]:
        """It accepts connections and never answers."""
        pid = self.server.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def kill_redis(self) -> None:
        pid = self.server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self.server.stop()

    def jobs(self, state: JobState | None = None) -> list[JobView]:
        return list_jobs(self.redis, state=state)

    def wait_for_jobs(self, count: int, state: JobState, timeout: float = 30) -> list[JobView]:
        """The jobs, once there are so many and all are in this state."""

        def there() -> list[JobView]:
            found = self.jobs()
            return found if len(found) == count and {job.state for job in found} == {state} else []

        return wait_for(there, timeout)

    def wait_for_job(self, state: JobState = JobState.DONE, timeout: float = 30) -> JobView:
        return self.wait_for_jobs(1, state, timeout)[0]

    def history(self, job: JobView) -> list[HistoryLine]:
        return history(self.redis, job.id)

    def penstock(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """The command, as a user would run it."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "deploy", "-c", str(self.config), *words],
            capture_output=True,
            text=True,
            timeout=60,
            env=self._environment,
        )

    def storescu(self, *words: str | Path, called: str) -> "subprocess.CompletedProcess[str]":
        """DCMTK's storescu, sending to us."""
        return subprocess.run(
            [program("storescu"), "-v", "-aec", called, HOST, str(self.port), *map(str, words)],
            capture_output=True,
            text=True,
            timeout=60,
        )

    def storescu_held(self, path: Path, *, called: str) -> "subprocess.Popen[bytes]":
        """A storescu that sends a file over and over in one association; to be killed."""
        words = ["--repeat", "100000", "-aec", called, HOST, str(self.port), str(path)]
        return subprocess.Popen(
            [program("storescu"), *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
