"""`penstock jobs --watch` on a terminal, while Redis goes away and comes back."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from deploy.embedded_server import HOST, EmbeddedServer
from deploy.system import free_port
from shared.job_state import JobState
from shared.registry.connection import connect
from shared.registry.jobs import JobRecords
from tests.shared.registry.jobs import job
from tests.support.gateway import REPOSITORY
from tests.support.waiting import wait_for


class Terminal:
    """A command on a terminal of its own, and all that it has drawn so far."""

    def __init__(self, folder: Path, url: str, *words: str) -> None:
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        environment = {"PENSTOCK_REDIS__URL": url, "PYTHONPATH": str(REPOSITORY), "TERM": "xterm"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "deploy", *words],
            cwd=folder,
            env=os.environ | environment | {"COLUMNS": "160", "LINES": "40"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.drawn = ""

    def shows(self, text: str) -> None:
        """Waits for it to be drawn, from what is drawn after this call on."""
        self.drawn = ""
        wait_for(lambda: text in self._read(), 30)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def _read(self) -> str:
        with contextlib.suppress(OSError):  # nothing new, or nobody there any more
            self.drawn += os.read(self._master, 1 << 16).decode(errors="replace")
        return self.drawn


def test_a_list_that_is_watched_outlives_redis_and_ends_by_ctrl_c(tmp_path: Path) -> None:
    port = free_port(HOST)
    server = EmbeddedServer(tmp_path / "redis", port)
    server.start()
    terminal = Terminal(tmp_path, server.url, "jobs", "--watch")
    try:
        with connect(server.url) as redis:
            records = JobRecords(redis)
            terminal.shows("as of")
            records.create(job(), JobState.QUEUED, "made")
            terminal.shows("queued")
            records.move(job().id, JobState.RUNNING, "started")
            terminal.shows("running")
        server.stop()
        terminal.shows("Redis does not answer")
        terminal.shows(job().id)  # as it was last
        server = EmbeddedServer(tmp_path / "redis", port)
        server.start()
        terminal.shows("as of")
        with connect(server.url) as redis:
            JobRecords(redis).move(job().id, JobState.DONE, "done")
        terminal.shows("done")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(10) == 0
        assert "Traceback" not in terminal._read()
    finally:
        terminal.close()
        server.stop()


def test_the_status_can_be_watched_too(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "redis") as server:
        terminal = Terminal(tmp_path, server.url, "status", "--watch")
        try:
            terminal.shows("no receiver runs")
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.process.wait(10) == 0
        finally:
            terminal.close()
