"""`penstock status` and `penstock associations`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from typer.testing import CliRunner

from deploy.cli.app import app
from deploy.embedded_server import EmbeddedServer
from deploy.status import Status
from shared.registry.associations import remember
from shared.registry.gate import Gate, Leases, Queue
from shared.registry.queues import QueueView
from shared.registry.receivers import beat
from tests.support.associations import ended_association, receiver_state

READY = [QueueView(queue, 0, 0, 0, workers=1, places=2) for queue in Queue]


@dataclass
class Result:
    code: int
    said: str

    @property
    def json(self) -> Any:
        return json.loads(self.said)


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def records(redis: Redis, redis_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> Redis:
    monkeypatch.setenv("PENSTOCK_REDIS__URL", redis_server.url)
    return redis


def penstock(*words: str) -> Result:
    run = CliRunner().invoke(app, words)
    return Result(run.exit_code, run.output)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"draining": True}, "gateway:11112 is being stopped"),
        (
            {"storage_full": True, "used_percent": 80, "free": 4_000_000_000},
            "gateway:11112 refuses instances: 80 % of its disk is used, 4.0 GB are free",
        ),
    ],
)
def test_a_receiver_that_refuses_is_a_fault(changes: dict[str, Any], fault: str) -> None:
    assert Status([receiver_state()], READY, {}).faults == []
    assert Status([receiver_state(**changes)], READY, {}).faults == [fault]


def test_nobody_to_receive_or_to_work_is_a_fault() -> None:
    idle = [QueueView(queue, 0, 0, 0, workers=0, places=0) for queue in Queue]
    assert Status([], idle, {}).faults == [
        "no receiver runs",
        "no worker takes dispatch steps",
        "no worker takes pipeline steps",
        "no worker takes export steps",
    ]


def test_status_shows_load_disk_queues_and_jobs(records: Redis) -> None:
    beat(records, receiver_state(host="[red]gateway"))
    Gate(records, Leases()).announce_places("one", dict.fromkeys(Queue, 2))
    result = penstock("status")
    assert result.code == 0
    for said in ("[red]gateway:11112", "3 of 25", "40 % of 75 %", "60.0 GB", "dispatch", "held"):
        assert said in result.said


def test_status_as_json_and_its_exit_code_are_for_scripts(records: Redis) -> None:
    beat(records, receiver_state(draining=True))
    result = penstock("status", "--json")
    assert result.code == 1
    assert result.json["receivers"][0]["associations"] == 3
    assert result.json["queues"][0]["queue"] == "dispatch"
    assert result.json["jobs"]["failed"] == 0
    assert result.json["faults"][0] == "gateway:11112 is being stopped"


def test_associations_say_who_sent_what_and_who_was_refused_and_why(records: Redis) -> None:
    refused = {"end": "refused", "cause": "1,1,7", "reason": "1,1,7 called AE title not recognized"}
    remember(records, [ended_association(1), ended_association(2, calling="M\x1b[R", **refused)])
    result = penstock("associations")
    assert result.code == 0
    for said in ("CT01", "10.1.2.3", "BRAIN", "2 of 3", "2.1", "released", "1,1,7 called AE"):
        assert said in result.said
    assert "\x1b" not in result.said
    (only,) = penstock("associations", "--json", "--end", "refused", "--called", "BRAIN").json
    assert (only["calling"], only["cause"]) == ("M\x1b[R", "1,1,7")
    assert len(penstock("associations", "--json", "--limit", "1").json) == 1
    assert penstock("associations", "--json", "--calling", "WHO").json == []


def test_without_redis_there_is_nothing_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_REDIS__URL", "redis://127.0.0.1:1")
    assert penstock("status").code == penstock("associations").code == 69
