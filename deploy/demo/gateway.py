"""The demo's gateway: `penstock up` as a user runs it, on free ports and in a folder of its own."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import tomli_w

from deploy.embedded_server import running_url
from deploy.system import accepts_connections, dying_with_us, free_port

AE_TITLE = "DEMO"
_HOST = "127.0.0.1"
_READY_WITHIN, _STOPPED_WITHIN = 60.0, 60.0  # seconds


class GatewayError(Exception):
    """The gateway did not start or end as it should."""


class Gateway:
    """Runs while its block does."""

    def __init__(self, folder: Path, destination: dict[str, Any]) -> None:
        self.port = free_port(_HOST)
        self.flower_port = free_port(_HOST, [self.port])
        self.storage = folder / "storage"
        self._log = folder / "gateway.log"
        self._config = folder / "penstock.toml"
        self._config.write_text(tomli_w.dumps(self._settings(destination)))

    def _settings(self, destination: dict[str, Any]) -> dict[str, Any]:
        return {
            # A full disk is no reason not to show a demo of a few megabytes.
            "storage": {
                "root": str(self.storage),
                "watermark_percent": 100,
                "reserve_gb": 0.05,
            },
            "receiver": {"host": _HOST, "port": self.port},
            "flower": {"host": _HOST, "port": self.flower_port},
            "ae_titles": [{"title": AE_TITLE, "pipeline": "copy"}],
            "pipelines": {
                "copy": {
                    "kind": "command",
                    "command": ["cp", "-R", "{input}/.", "{output}"],
                    "export_to": ["ARCHIVE"],
                }
            },
            "destinations": {"ARCHIVE": destination},
        }

    @property
    def redis_url(self) -> str:
        url = running_url(self.storage / "redis")
        assert url is not None
        return url

    @property
    def log_tail(self) -> str:
        return "\n".join(self._log.read_text().splitlines()[-20:])

    def __enter__(self) -> "Gateway":
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "deploy", "--config", str(self._config), "up"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours to pass on
                preexec_fn=dying_with_us(),
            )
        deadline = time.monotonic() + _READY_WITHIN
        while not accepts_connections(_HOST, self.port):  # the receiver is the last to start
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._stop()
                raise GatewayError(f"the gateway did not start:\n{self.log_tail}")
            time.sleep(0.05)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        code = self._stop()
        if code and kind is None:
            raise GatewayError(f"the gateway ended with exit code {code}:\n{self.log_tail}")

    def _stop(self) -> int:
        self._process.terminate()
        try:
            return self._process.wait(_STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
