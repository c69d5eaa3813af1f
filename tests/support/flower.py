"""Flower, asked over HTTP."""

import json
import os
import shelve
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any, NamedTuple

from deploy.system import accepts_connections
from tests.support.gateway import HOST, Gateway
from tests.support.waiting import wait_for


class _DeadlyToRead:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.abort, ()


def write_deadly_rows(folder: Path) -> None:
    """A database that ends whoever reads it, as a damaged one can."""
    folder.mkdir(parents=True, exist_ok=True)
    with shelve.open(folder / "tasks") as database:
        database["events"] = _DeadlyToRead()


class Answer(NamedTuple):
    status: int
    text: str


def ask(gateway: Gateway, path: str, *, credential: str = "", method: str = "GET") -> Answer:
    request = urllib.request.Request(
        f"http://{HOST}:{gateway.flower_port}{path}",
        method=method,
        data=b"" if method == "POST" else None,
        headers={"Authorization": f"Basic {b64encode(credential.encode()).decode()}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return Answer(answer.status, answer.read().decode())
    except urllib.error.HTTPError as refused:
        with refused:
            return Answer(refused.code, refused.read().decode())


def rows(gateway: Gateway, *, credential: str = "") -> dict[str, Any]:
    """Of its page of tasks, by their ids."""
    found: dict[str, Any] = json.loads(ask(gateway, "/api/tasks", credential=credential).text)
    return found


def wait_until_it_listens(gateway: Gateway) -> None:
    """It serves before it listens to events: what happens until then it hears of at most late."""
    wait_for(lambda: accepts_connections(HOST, gateway.flower_port), 30)
    workers = any(name in gateway.parts for name in ("exports", "pipelines"))
    # Subscribed are the workers, to their remote control, and Flower, to their events.
    wait_for(lambda: gateway.redis.pubsub_numpat() == 1 + workers, 30)
