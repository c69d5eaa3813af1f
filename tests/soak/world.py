"""What the troubles befall: a gateway of six processes and its destinations."""

import sys
import time
from pathlib import Path
from typing import Any

from tests.support.counted import CountedDestination, Meter
from tests.support.gateway import Gateway

EXPORTERS = ("exports", "exports-2", "exports-3")
PIPELINES = ("pipelines", "pipelines-2")
DESTINATIONS = ("NORTH", "SOUTH", "WEST")
SENDS_AT_ONCE = 2
LEASE = 3.0  # seconds
# Called AE title -> its destinations.
ROUTES = {"ROUTE": ("NORTH", "SOUTH"), "COPY": ("SOUTH", "WEST")}

_PERIODS: dict[str, Any] = {
    "workers": {
        "tick": "200ms",
        "beat": "300ms",
        "granted_lease": "2s",
        "running_lease": f"{LEASE}s",
        "reconcile": "500ms",
        "housekeeping": "1s",
        "drain_timeout": "5s",
        "max_step_attempts": 1000,
    },
    "exporter": {
        "max_concurrent_sends": SENDS_AT_ONCE,
        "retry_first": "200ms",
        "retry_longest": "1s",
        "connect_timeout": "1s",
        "association_timeout": "1s",
        "pdu_timeout": "1s",
        "response_timeout": "1s",
    },
}


class World:
    """Up while its block runs."""

    def __init__(self, folder: Path) -> None:
        self.meter = Meter()
        self.destinations = {name: CountedDestination(name, self.meter) for name in DESTINATIONS}
        self.notes = folder / "notes"  # of the pipeline's runs
        self.notes.mkdir()
        self.kills: list[tuple[float, str]] = []  # when (`time.monotonic`), and which process
        parts = ("receiver", *EXPORTERS, *PIPELINES)
        self.gateway = Gateway(folder, parts, _PERIODS, **self._settings())

    def kill(self, part: str) -> None:
        self.kills.append((time.monotonic(), part))
        self.gateway.kill(part)

    def kill_redis(self) -> None:
        self.kills.append((time.monotonic(), "redis"))
        self.gateway.kill_redis()

    def __enter__(self) -> "World":
        self.gateway.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.gateway.__exit__(*error)
        for destination in self.destinations.values():
            destination.__exit__()

    def _settings(self) -> dict[str, Any]:
        script = Path(__file__).with_name("copying.py")
        return {
            "ae_titles": [{"title": title, "pipeline": title.lower()} for title in ROUTES],
            "pipelines": {
                "route": {"kind": "forward", "export_to": list(ROUTES["ROUTE"])},
                "copy": {
                    "kind": "command",
                    "command": [
                        sys.executable,
                        str(script),
                        "{input}",
                        "{output}",
                        str(self.notes / "{job}"),
                    ],
                    "max_attempts": 1000,
                    "export_to": list(ROUTES["COPY"]),
                },
            },
            "destinations": {name: each.section() for name, each in self.destinations.items()},
        }
