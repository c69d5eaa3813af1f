"""What a notebook asks: the front door, over a real site's disk and Redis."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json
from redis import Redis, RedisError

from deploy.embedded_server import EmbeddedServer
from shared.destination_state import DestinationState
from shared.gateway import Gateway
from shared.job_state import JobState
from shared.registry.associations import remember
from shared.registry.receivers import beat
from shared.settings import Settings
from shared.study import study_hash
from tests.support.associations import ended_association, receiver_state
from tests.support.destinations import HOST
from tests.support.samples import data_set_of, sample_file
from tests.workers.pacs import Pacs
from tests.workers.site import Given, MakeSite, Site

CT_STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
DOWN = {"ae_title": "DOWN", "host": HOST, "port": 1}


@pytest.fixture
def make(
    make_site: MakeSite, redis_server: EmbeddedServer
) -> Iterator[Callable[..., tuple[Site, Gateway]]]:
    """A site with these sections, and a gateway that asks about it."""
    made: list[Gateway] = []

    def make(**sections: Any) -> tuple[Site, Gateway]:
        site = make_site(**sections)
        made.append(Gateway.of(site.context.settings, redis_server.url))
        return site, made[-1]

    yield make
    for gateway in made:
        gateway.close()


def exporting_to(pacs: Pacs | None, kind: dict[str, Any]) -> dict[str, Any]:
    destinations = {"DOWN": DOWN} if pacs is None else {"PACS": pacs.section}
    return {
        "pipelines": {"keep": {**kind, "export_to": list(destinations)}},
        "destinations": destinations,
    }


@pytest.fixture(scope="module")
def pacs() -> Iterator[Pacs]:
    with Pacs() as running:
        yield running


def test_of_a_job_all_is_told_at_once(make: Callable[..., tuple[Site, Gateway]], pacs: Pacs):
    copy = {"kind": "command", "command": ["sh", "-c", "echo hello; cp {input}/* {output}"]}
    site, gateway = make(**exporting_to(pacs, copy))
    statuses = {"1.2.2": 0xB000, "1.2.3": 0xC000}
    pacs.answer = lambda uid: statuses.get(uid, 0x0000)
    job_id = site.dispatched(*(Given(uid) for uid in ("1.2.1", "1.2.2", "1.2.3")))
    site.run_pipeline(job_id)
    site.export(job_id)

    report = gateway.job(job_id[-8:])
    job, (origin,), files = report.job, report.origins, report.files
    assert (job.id, job.state) == (job_id, JobState.FAILED)
    assert (origin.calling_ae_title, origin.peer_address, origin.end) == (
        "CT01", "127.0.0.1", "released"
    )  # fmt: skip
    assert (origin.instances, origin.refused) == (3, 0)
    assert [(line.state, line.what) for line in report.history] == [
        ("queued", "dispatched, 3 instances"),
        ("running", "attempt 1 started"),
        ("exporting", "attempt 1 succeeded"),
        ("exporting", "sending 3 instances to PACS"),
        ("failed", "PACS: failed"),
    ]
    assert {line.who for line in report.history} == {"tests"}
    assert [line.attempt for line in report.history] == [None, 1, 1, 1, 1]
    assert [line.seconds is None for line in report.history] == [True, True, False, True, False]
    assert (
        report.history[-1].error
        == "1 of 3 instances were not delivered: 1 refused with C000 (cannot understand)"
    )
    assert {step.id: step.state for step in report.steps} == {
        job_id: "done",
        f"{job_id}.PACS": "failed",
    }
    assert files is not None
    assert [file.name for file in files.result] == ["1.2.1.dcm", "1.2.2.dcm", "1.2.3.dcm"]
    assert files.result_size == job.size
    (attempt,) = files.attempts
    assert attempt.output.read_text() == "hello\n"
    assert attempt.output_size == 6
    assert [(sent.file, sent.verdict, sent.status) for sent in files.sent["PACS"]] == [
        ("1.2.1.dcm", "delivered", "0000"),
        ("1.2.2.dcm", "warning", "B000"),
        ("1.2.3.dcm", "failed", "C000"),
    ]
    assert json.loads(to_json(report))["files"]["sent"]["PACS"][2]["status"] == "C000"


def test_what_is_tried_again_says_when_and_why(make: Callable[..., tuple[Site, Gateway]]):
    site, gateway = make(**exporting_to(None, {"kind": "forward"}))
    job_id = site.exporting(Given("1.2.3"))
    begun = datetime.now(UTC)
    site.export(job_id, "DOWN")
    report = gateway.job(job_id)
    retrying = report.job.destinations["DOWN"]
    assert retrying.state is DestinationState.RETRYING
    assert "Connection refused" in retrying.reason
    (_, step) = report.steps
    assert (step.id, step.state, step.attempts) == (f"{job_id}.DOWN", "retrying", 1)
    assert step.due is not None
    assert step.due >= begun - timedelta(seconds=1)
    again = report.history[-1]
    assert again.what.startswith("DOWN: again in ")
    assert "Connection refused" in again.error
    assert report.files is not None
    assert report.files.sent == {"DOWN": ()}


def test_a_pipelines_next_attempt_is_known_until_it_begins(
    make: Callable[..., tuple[Site, Gateway]],
):
    script = "exit $(test -e ../../../again && echo 0 || (touch ../../../again; echo 7))"
    site, gateway = make(**exporting_to(None, {"kind": "command", "command": ["sh", "-c", script]}))
    job_id = site.dispatched(Given("1.2.3"))
    site.run_pipeline(job_id)
    waiting = gateway.find(job_id)
    assert waiting.reason == "exit code 7"
    assert waiting.retry_at is not None
    assert gateway.history(job_id)[-1].error == "exit code 7"
    site.run_pipeline(job_id)
    assert gateway.find(job_id).retry_at is None
    assert gateway.find(job_id).reason == ""


def test_an_interrupted_attempt_and_a_damaged_record_are_told(
    make: Callable[..., tuple[Site, Gateway]],
):
    site, gateway = make()
    job_id = site.dispatched(Given("1.2.3"))
    folder = site.folder(job_id)
    folder.uncount(folder.new_attempt())
    folder.new_attempt()
    files = gateway.job(job_id).files
    assert files is not None
    assert [attempt.name for attempt in files.attempts] == ["1.interrupted", "2"]
    assert not files.damaged
    (folder.path / "state.json").write_text("{")
    (folder.path / "sent-PACS.log").write_text("what?\n")
    files = gateway.job(job_id).files
    assert files is not None
    assert files.damaged == ("state.json", "sent-PACS.log")
    assert files.sent == {}


def test_without_the_storage_redis_says_who_sent_it(
    make: Callable[..., tuple[Site, Gateway]], redis: Redis, redis_server: EmbeddedServer
):
    site, _ = make()
    job_id = site.dispatched(Given("1.2.3"))
    with Gateway(redis_server.url) as elsewhere:
        report = elsewhere.job(job_id)
        assert (report.files, report.origins) == (None, [])
        remember(redis, [ended_association(1, id=report.job.delivery), ended_association(2)])
        (origin,) = elsewhere.job(job_id).origins
        assert (origin.calling_ae_title, origin.peer_address) == ("CT01", "10.1.2.3")
        assert origin.ended - origin.started == timedelta(seconds=1.25)
        assert origin.ignored is None
    with Gateway(redis_server.url, Path("/nowhere")) as unmounted:
        assert unmounted.job(job_id).files is None
        assert unmounted.status().storage is None


def test_jobs_are_found_by_their_study_and_in_pages(
    make: Callable[..., tuple[Site, Gateway]], redis: Redis
):
    site, gateway = make()
    ct = Given("1.2.9", data_set_of(sample_file("CT_small.dcm")))
    with_ct = [site.dispatched(ct) for _ in range(3)]
    site.dispatched(Given("1.2.3"))
    found = gateway.jobs(study=CT_STUDY)
    assert sorted(job.id for job in found) == sorted(with_ct)
    assert {job.studies for job in found} == {(study_hash(CT_STUDY),)}
    first = gateway.jobs(limit=2)
    rest = gateway.jobs(before=first[-1])
    assert [job.id for job in first + rest] == [job.id for job in gateway.jobs()]
    assert len(rest) == 2
    held = b"".join(redis.dump(key) or b"" for key in redis.scan_iter())
    assert CT_STUDY.encode() not in held


def test_status_and_associations_have_the_same_door(
    make: Callable[..., tuple[Site, Gateway]], redis: Redis
):
    site, gateway = make(**exporting_to(None, {"kind": "forward"}))
    site.commit(Given("1.2.3"))
    beat(redis, receiver_state())
    remember(redis, [ended_association(1), ended_association(2, calling="MR01")])
    status = gateway.status()
    assert [state.port for state in status.receivers] == [11112]
    assert [destination.name for destination in status.destinations] == ["DOWN"]
    assert status.storage is not None
    assert status.storage.committed == 1
    (only,) = gateway.associations(calling="MR01")
    assert only.calling == "MR01"


def test_nothing_is_asked_of_a_redis_that_is_nowhere():
    with pytest.raises(ValueError, match=r"redis\.url"):
        Gateway.of(Settings())
    with Gateway("redis://127.0.0.1:1") as gateway, pytest.raises(RedisError):
        gateway.jobs()
