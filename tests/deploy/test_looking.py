"""`penstock status` and `penstock associations`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from deploy.embedded_server import EmbeddedServer
from shared.destination_state import DestinationState
from shared.ids import new_id
from shared.job import DestinationEnd
from shared.job_state import JobState
from shared.registry.associations import remember
from shared.registry.destinations import Breaker, DestinationView, Health
from shared.registry.gate import Gate, Leases
from shared.registry.held_up import HeldUp
from shared.registry.jobs import DestinationProgress, JobRecords
from shared.registry.queues import QueueView
from shared.registry.receivers import beat
from shared.registry.step import Queue, Step, StepEnd, Trouble
from shared.status import Status, StorageCounts
from shared.tree import StorageTree
from shared.worker_state import WorkerState
from tests.shared.registry.jobs import EPOCH, job
from tests.support.associations import ended_association, receiver_state
from tests.support.command import penstock

READY = [QueueView(queue, 0, 0, 0, workers=1, places=2) for queue in Queue]


def status(**changes: Any) -> Status:
    """All is well but for the changes."""
    well: dict[str, Any] = {
        "workers": [],
        "receivers": [receiver_state()],
        "queues": READY,
        "destinations": [],
        "jobs": {},
        "jobs_lately": {},
        "storage": StorageCounts(0, 0, 0),
        "held_up": HeldUp(0),
    }
    return Status(**well | changes)


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def records(redis: Redis, redis_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> Redis:
    monkeypatch.setenv("PENSTOCK_REDIS__URL", redis_server.url)
    return redis


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
    assert status().faults == []
    assert status(receivers=[receiver_state(**changes)]).faults == [fault]


def test_nobody_to_receive_or_to_work_is_a_fault() -> None:
    idle = [QueueView(queue, 0, 0, 0, workers=0, places=0) for queue in Queue]
    assert status(receivers=[], queues=idle).faults == [
        "no receiver runs",
        "no worker takes dispatch steps",
        "no worker takes pipeline steps",
        "no worker takes export steps",
    ]


def test_a_destination_that_takes_nothing_is_a_fault_while_exports_wait_for_it() -> None:
    view = DestinationView("PACS", 1, 0, 2, failed=4, oldest=None)
    for health, how in (
        (Health(Breaker.TROUBLED), "is troubled"),
        (Health(Breaker.OPEN), "is down"),
        (Health(Breaker.OPEN, paused=True), "is paused"),
    ):
        down = replace(view, health=health)
        assert status(destinations=[down]).faults == [f"PACS {how}, and exports wait for it: 3"]
        assert status(destinations=[replace(down, waiting=0, retrying=0)]).faults == []
    assert status(destinations=[view]).faults == []


def test_a_destination_that_refuses_whatever_comes_is_a_fault_though_nothing_waits() -> None:
    view = DestinationView("PACS", 0, 0, 0, failed=4, oldest=None)
    refusing = replace(view, health=Health(refusal="0124 (not authorized)"))
    (fault,) = status(destinations=[refusing]).faults
    assert fault.endswith("for a person to mend: 0124 (not authorized)")


def test_what_is_in_quarantine_is_a_fault_and_what_is_aborted_is_none() -> None:
    assert status(storage=StorageCounts(0, aborted=3, quarantine=0)).faults == []
    assert status(storage=None).faults == []
    (fault,) = status(storage=StorageCounts(0, 0, quarantine=2)).faults
    assert fault == "deliveries in quarantine, for a person to judge: 2"


def test_status_shows_load_disk_queues_and_jobs(records: Redis) -> None:
    beat(records, receiver_state(host="[red]gateway"))
    Gate(records, Leases()).announce_places("one", dict.fromkeys(Queue, 2))
    result = penstock("status")
    assert result.code == 0
    for said in ("[red]gateway:11112", "3 of 25", "40 % of 75 %", "60.0 GB", "dispatch", "held"):
        assert said in result.said
    assert "the storage is not mounted here" in result.said
    assert "all is well" in result.said


def test_status_counts_what_lies_on_the_storage_where_it_is_mounted(records: Redis) -> None:
    tree = StorageTree(Path("data"))
    tree.create()
    for number, folder in enumerate((tree.committed, tree.aborted, tree.quarantine), 1):
        for _ in range(number):
            (folder / new_id()).mkdir()
    assert penstock("status", "--json").json["storage"] == {
        "committed": 1,
        "aborted": 2,
        "quarantine": 3,
    }


def test_status_says_of_each_destination_what_waits_and_since_when(records: Redis) -> None:
    Path("penstock.toml").write_text(
        '[destinations.NEW]\nae_title = "NEW"\nhost = "127.0.0.1"\nport = 104\n'
    )
    jobs = JobRecords(records)
    failed = DestinationEnd(state=DestinationState.FAILED, delivered=0, failed=1)
    exporting = {"export_to": ("PACS", "ARCHIVE"), "destinations": {"ARCHIVE": failed}}
    jobs.create(job("not-yet-run", age=500, export_to=("PACS",)), JobState.QUEUED, "made")
    jobs.create(job("oldest", age=300, **exporting), JobState.EXPORTING, "made")
    jobs.create(job("newer", age=200, **exporting), JobState.EXPORTING, "made")
    jobs.set_destination("oldest", "PACS", DestinationProgress(DestinationState.RETRYING))
    gate = Gate(records, Leases())
    gate.open()
    gate.announce_places("one", {Queue.EXPORT: 1})
    gate.submit(Step("oldest.PACS", Queue.EXPORT, "export:PACS", "oldest"))
    (granted,) = gate.grant(Queue.EXPORT)
    run = gate.start(granted.step_id, granted.token, "caller")
    assert run is not None
    gate.finish(run, StepEnd.RETRYING, delay=60, trouble=Trouble(3, 600))
    gate.submit(Step("newer.PACS", Queue.EXPORT, "export:PACS", "newer"))

    found = {each["name"]: each for each in penstock("status", "--json").json["destinations"]}
    assert sorted(found) == ["ARCHIVE", "NEW", "PACS"]
    pacs, archive, new = found["PACS"], found["ARCHIVE"], found["NEW"]
    assert (pacs["waiting"], pacs["sending"], pacs["retrying"], pacs["failed"]) == (1, 0, 1, 0)
    assert pacs["health"]["breaker"] == "troubled"
    assert datetime.fromisoformat(pacs["oldest"]) == EPOCH - timedelta(seconds=300)
    assert (archive["failed"], archive["oldest"], archive["health"]["breaker"]) == (
        2,
        None,
        "closed",
    )
    assert new["waiting"] == new["failed"] == 0
    queues = {each["queue"]: each for each in penstock("status", "--json").json["queues"]}
    assert datetime.now(UTC) - datetime.fromisoformat(queues["export"]["oldest"]) < timedelta(
        minutes=1
    )
    assert queues["dispatch"]["oldest"] is None
    assert "troubled" in penstock("status").said


def test_status_counts_the_jobs_of_the_last_hour_apart(records: Redis) -> None:
    jobs = JobRecords(records)
    jobs.create(job("old"), JobState.DONE, "made")
    jobs.create(job("new", created=datetime.now(UTC)), JobState.DONE, "made")
    found = penstock("status", "--json").json
    assert (found["jobs"]["done"], found["jobs_lately"]["done"]) == (2, 1)


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


def test_a_worker_that_consumes_nothing_is_a_fault() -> None:
    well = worker_state(last_canary=datetime.now(UTC))
    silent = worker_state(last_canary=datetime.now(UTC) - timedelta(minutes=1))
    assert status(workers=[well]).faults == []
    assert status(workers=[silent]).faults == [
        "exports@gateway takes no steps, and is about to start anew"
    ]


def worker_state(**changes: Any) -> WorkerState:
    fields: dict[str, Any] = {
        "id": "w",
        "name": "exports",
        "host": "gateway",
        "pid": 1,
        "since": datetime.now(UTC) - timedelta(hours=1),
        "revision": "r",
        "places": {"export": 2},
        "running": (),
        "last_canary": None,
        "draining": False,
    }
    return WorkerState(**fields | changes)
