"""A real HTTP server on the other side."""

import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from deploy.system import free_port
from shared.job_state import JobState
from shared.job_steps import pipeline_step
from shared.registry.step import Priority, Queue
from shared.registry.views import history
from shared.settings.pipeline_kinds import WebhookPipeline
from tests.support.certificates import Hospital
from tests.support.engine import HOST, Engine, Reply, Request
from tests.support.samples import identified
from tests.support.waiting import wait_for
from tests.workers.pipelines.called import first_call
from tests.workers.site import Given, Site
from workers.attempts.handover import EngineAttempt
from workers.pipelines.webhook import StatusClass, Webhook, retry_after, status_class
from workers.steps.lease import StepWithdrawnError
from workers.steps.outcome import Done, Failed, HandedOver, TryAgain
from workers.steps.places import caps

Made = tuple[Site, str]
MakeJob = Callable[..., Made]


@pytest.fixture
def make_job(make_site: Callable[..., Site]) -> MakeJob:
    """A site whose pipeline calls an engine, and a job of it with two instances."""

    def make(url: str, **options: Any) -> Made:
        pipeline = {"kind": "webhook", "url": url, "response_timeout": "5s"} | options
        site = make_site(pipelines={"keep": pipeline}, workers={"beat": "50ms"})
        return site, site.dispatched(Given("1.2.3"), Given("1.2.4"))

    return make


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as running:
        yield running


# What it is asked


def test_the_engine_is_asked_with_ids_paths_uids_and_counts(
    make_job: MakeJob, engine: Engine
) -> None:
    site, job_id = make_job(engine.url)
    assert site.run_pipeline(job_id) == Done()
    (request,) = engine.requests
    folder = site.folder(job_id)
    assert request.path == "/engine?of=tests"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == "Penstock"
    assert request.json == first_call(folder) | {
        "calling_ae_title": "CT01",
        "called_ae_title": "BRAIN",
        "ae_title": "BRAIN",
        "instances": 2,
        "size": folder.read().size,
        "incomplete": False,
        "studies": [
            {
                "study_instance_uid": "",
                "series": [
                    {
                        "series_instance_uid": "",
                        "modality": "",
                        "body_part": "",
                        "instances": 2,
                        "sop_instance_uids": ["1.2.3", "1.2.4"],
                    }
                ],
            }
        ],
    }


def test_instances_stand_in_their_series_and_studies(make_site: Callable[..., Site]) -> None:
    with Engine() as engine:
        site = make_site(pipelines={"keep": {"kind": "webhook", "url": engine.url}})
        given = [
            Given(uid, identified(uid, study, series))
            for uid, study, series in (
                ("1.2.1", "1.9.1", "1.9.1.1"),
                ("1.2.2", "1.9.1", "1.9.1.1"),
                ("1.2.3", "1.9.1", "1.9.1.2"),
                ("1.2.4", "1.9.2", "1.9.2.1"),
            )
        ]
        assert site.run_pipeline(site.dispatched(*given)) == Done()
    assert {
        study["study_instance_uid"]: {
            series["series_instance_uid"]: (series["instances"], series["sop_instance_uids"])
            for series in study["series"]
        }
        for study in engine.requests[0].json["studies"]
    } == {
        "1.9.1": {"1.9.1.1": (2, ["1.2.1", "1.2.2"]), "1.9.1.2": (1, ["1.2.3"])},
        "1.9.2": {"1.9.2.1": (1, ["1.2.4"])},
    }


def test_the_body_is_signed(make_job: MakeJob, engine: Engine) -> None:
    site, job_id = make_job(engine.url, secret="s3cret")
    site.run_pipeline(job_id)
    (request,) = engine.requests
    expected = hmac.new(b"s3cret", request.body, hashlib.sha256).hexdigest()
    assert request.headers["Penstock-Signature"] == f"sha256={expected}"


def test_headers_and_body_are_as_other_engines_want_them(make_job: MakeJob, engine: Engine) -> None:
    body = {
        "dag_run_id": "{idempotency_key}",
        "conf": "{call}",
        "tags": ["penstock", "{pipeline}-{attempt}", "{{}}"],
        "priority": 1,
        "logical_date": "{null}",
    }
    site, job_id = make_job(engine.url, headers={"Authorization": "Bearer abc"}, body=body)
    site.run_pipeline(job_id)
    (request,) = engine.requests
    assert request.headers["Authorization"] == "Bearer abc"
    asked = request.json
    assert asked.pop("conf")["job"] == job_id
    assert asked == {
        "dag_run_id": f"{job_id}.1",
        "tags": ["penstock", "keep-1", "{}"],
        "priority": 1,
        "logical_date": None,
    }


def test_only_a_callback_gets_a_token(make_job: MakeJob, engine: Engine) -> None:
    site, job_id = make_job(engine.url, mode="callback", body={"conf": "{call}", "t": "{token}"})
    assert isinstance(site.run_pipeline(job_id), HandedOver)
    (request,) = engine.requests
    called = EngineAttempt.latest(site.folder(job_id), site.folder(job_id).read())
    assert called is not None
    assert called.handover.knows(request.json["t"])
    assert request.json["conf"]["token"] == request.json["t"]


# What it answers


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, StatusClass.ACCEPTED),
        (202, StatusClass.ACCEPTED),
        (204, StatusClass.ACCEPTED),
        (301, StatusClass.FAILED),
        (400, StatusClass.FAILED),
        (401, StatusClass.FAILED),
        (404, StatusClass.FAILED),
        (408, StatusClass.RETRY),
        (409, StatusClass.FAILED),
        (425, StatusClass.RETRY),
        (429, StatusClass.RETRY),
        (500, StatusClass.RETRY),
        (503, StatusClass.RETRY),
        (599, StatusClass.RETRY),
    ],
)
def test_a_status_has_its_class(status: int, expected: StatusClass) -> None:
    assert status_class(status, {}) is expected


def test_the_settings_may_say_what_a_status_means(make_job: MakeJob) -> None:
    with Engine(Reply(409)) as engine:
        site, job_id = make_job(engine.url, mode="callback", answers={"409": "accepted"})
        assert isinstance(site.run_pipeline(job_id), HandedOver)


def test_a_refusal_for_good_fails_the_job_with_its_status(make_job: MakeJob) -> None:
    with Engine(Reply(422)) as engine:
        site, job_id = make_job(engine.url)
        assert site.run_pipeline(job_id) == Failed("HTTP status 422")
    assert site.folder(job_id).read().failure == "HTTP status 422"
    assert len(engine.requests) == 1


def test_refused_slow_and_failing_engines_are_called_again_in_the_same_words(
    make_job: MakeJob,
) -> None:
    """Connection refused, 500, no answer in time, then done: one attempt, one key, one body."""
    port = free_port(HOST)
    site, job_id = make_job(f"http://{HOST}:{port}", response_timeout="300ms", secret="s")
    refused = site.run_pipeline(job_id)
    assert isinstance(refused, TryAgain)
    assert refused.reason == "no connection: Connection refused"
    with Engine(Reply(500), Reply(hangs=True), Reply(200)) as engine:
        site.configure(
            pipelines={
                "keep": {
                    "kind": "webhook",
                    "url": engine.url,
                    "response_timeout": "300ms",
                    "secret": "s",
                }
            }
        )
        site.context.live.reread()
        reasons = []
        for _ in range(2):
            outcome = site.run_pipeline(job_id)
            assert isinstance(outcome, TryAgain)
            reasons.append(outcome.reason)
        assert site.run_pipeline(job_id) == Done()
    assert reasons == ["HTTP status 500", "no answer: timed out"]
    assert engine.keys == [f"{job_id}.1"] * 3
    assert len({request.body for request in engine.requests}) == 1
    assert len({request.headers["Penstock-Signature"] for request in engine.requests}) == 1
    assert site.folder(job_id).attempts() == 1


@pytest.mark.parametrize(
    ("reply", "holds_on"),
    [
        (Reply(hangs=True), True),
        (Reply(502), True),
        (Reply(504), True),
        (Reply(503), False),
        (Reply(429), False),
    ],
    ids=["no answer", "502", "504", "503", "429"],
)
def test_a_call_that_may_have_arrived_keeps_its_place_until_it_is_repeated(
    make_job: MakeJob, reply: Reply, holds_on: bool
) -> None:
    """So that no second job goes to an engine that takes one at a time."""
    with Engine(reply) as engine:
        site, job_id = make_job(engine.url, max_parallel=1, response_timeout="300ms")
        site.gate.set_caps(caps(site.context.settings))
        outcome = site.run_pipeline(job_id)
        assert isinstance(outcome, TryAgain)
        assert outcome.holds_on == holds_on
        urgent = replace(pipeline_step(site.folder(job_id).read()), id="x", priority=Priority.STAT)
        site.gate.submit(urgent)
        site.gate.announce_places("tests", {Queue.PIPELINE: 9})
        (granted,) = site.gate.grant(Queue.PIPELINE)
        assert granted.step_id == (job_id if holds_on else "x")


def test_nobody_who_could_not_be_called_keeps_a_place(make_job: MakeJob) -> None:
    site, job_id = make_job(f"http://{HOST}:{free_port(HOST)}")
    outcome = site.run_pipeline(job_id)
    assert isinstance(outcome, TryAgain)
    assert not outcome.holds_on


def test_an_engine_that_trickles_is_left_in_time(make_job: MakeJob) -> None:
    """Each byte comes before the timeout of silence, and the answer never."""
    listener = socket.create_server((HOST, 0))
    stop = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

    thread = threading.Thread(target=trickle)
    thread.start()
    site, job_id = make_job(
        f"http://{HOST}:{listener.getsockname()[1]}",
        response_timeout="1800ms",
        connect_timeout="200ms",
    )
    outcome = site.run_pipeline(job_id)
    stop.set()
    thread.join()
    listener.close()
    assert isinstance(outcome, TryAgain)
    assert outcome.reason == "no answer within 2 s"


def test_the_wait_that_the_engine_asks_for_is_kept(make_job: MakeJob) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    replies = (Reply(503, {"Retry-After": "77"}), Reply(429, {"Retry-After": later}))
    with Engine(*replies) as engine:
        site, job_id = make_job(engine.url)
        first, second = site.run_pipeline(job_id), site.run_pipeline(job_id)
    assert isinstance(first, TryAgain)
    assert isinstance(second, TryAgain)
    assert first.delay == 77
    assert 80 < second.delay <= 90


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("soon", None),
        ("-5", None),
        ("0", 0),
        ("99999999999", 3600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2115 07:28:00 GMT", 3600),
        ("Wed, 21 Oct 2115 07:28:00", 3600),
    ],
)
def test_what_retry_after_says_is_bounded(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


def test_a_result_that_is_no_dicom_file_fails_the_job(make_job: MakeJob) -> None:
    def write(request: Request) -> None:
        (Path(request.json["output"]) / "1.2.3.4.dcm").write_text("no")

    with Engine(Reply(200, meanwhile=write)) as engine:
        site, job_id = make_job(engine.url)
        outcome = site.run_pipeline(job_id)
    assert isinstance(outcome, Failed)
    assert "1.2.3.4.dcm is not a DICOM file" in outcome.reason


# TLS


def https(hospital: Hospital) -> ssl.SSLContext:
    """An engine that asks for a certificate, too."""
    context = ssl.create_default_context(
        ssl.Purpose.CLIENT_AUTH, cafile=hospital.authority.certificate
    )
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(hospital.receiver.certificate, hospital.receiver.key)
    return context


def test_both_sides_show_their_certificates(make_job: MakeJob, hospital: Hospital) -> None:
    tls = {
        "ca": str(hospital.authority.certificate),
        "certificate": str(hospital.ct01.certificate),
        "key": str(hospital.ct01.key),
    }
    with Engine(context=https(hospital)) as engine:
        site, job_id = make_job(engine.url, tls=tls)
        assert site.run_pipeline(job_id) == Done()
    assert len(engine.requests) == 1


def test_an_engine_that_is_not_trusted_is_told_nothing(
    make_job: MakeJob, hospital: Hospital
) -> None:
    with Engine(context=https(hospital)) as engine:
        site, job_id = make_job(engine.url, tls={"ca": str(hospital.other_authority.certificate)})
        outcome = site.run_pipeline(job_id)
    assert isinstance(outcome, TryAgain)
    assert "certificate is not trusted" in outcome.reason
    assert engine.requests == []


def test_paths_of_certificates_are_relative_to_the_settings(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    section = {"kind": "webhook", "url": "https://e", "tls": {"ca": "ca.crt"}}
    site = make_site(pipelines={"keep": section})
    placed = site.context.settings.pipelines["keep"]
    assert isinstance(placed, WebhookPipeline)
    assert placed.tls.ca == tmp_path / "ca.crt"


# Before, during and after


def section(url: str, **options: Any) -> WebhookPipeline:
    return WebhookPipeline.model_validate({"kind": "webhook", "url": url} | options)


def test_the_check_says_whether_the_address_answers(engine: Engine, hospital: Hospital) -> None:
    assert Webhook().check(section(engine.url)) == []
    assert engine.requests == []
    url = f"http://{HOST}:{free_port(HOST)}/x"
    assert Webhook().check(section(url)) == [f"{url}: no connection: Connection refused"]
    tls = {"ca": str(hospital.ct01.key)}
    (fault,) = Webhook().check(section("https://127.0.0.1:1/", tls=tls))
    assert "certificate files cannot be used" in fault


def test_a_worker_that_was_stopped_leaves_the_same_call_to_the_next(make_job: MakeJob) -> None:
    with Engine(Reply(hangs=True), Reply(200)) as engine:
        site, job_id = make_job(engine.url, response_timeout="1h")
        engine.replies[0] = Reply(hangs=True, meanwhile=lambda _: site.context.stopping.set())
        stopped = site.run_pipeline(job_id)
        assert stopped == TryAgain(0, "the worker was stopped", holds_on=True)
        site.context.stopping.clear()
        site.redis.flushall()
        site.gate.open()
        assert site.run_pipeline(job_id) == Done()
    assert engine.keys == [f"{job_id}.1"] * 2
    assert len({request.body for request in engine.requests}) == 1


def test_no_secret_and_no_uid_is_in_redis_or_a_log(
    make_job: MakeJob, engine: Engine, redis: Redis
) -> None:
    engine.replies = [Reply(503)]
    with capture_logs() as lines:
        site, job_id = make_job(
            engine.url, mode="callback", secret="s3cret", headers={"X-Key": "k3y"}
        )
        site.run_pipeline(job_id)
        engine.replies = [Reply(200)]
        site.run_pipeline(job_id)
    token = engine.requests[0].json["token"]
    everything = json.dumps(lines, default=str) + str(dump(redis))
    for word in ("s3cret", "k3y", token, "1.2.3"):
        assert word not in everything
    assert [line.what for line in history(redis, job_id)][-1].startswith("attempt 1 handed over")
    assert site.folder(job_id).read().state is JobState.QUEUED


def dump(redis: Redis) -> list[Any]:
    found: list[Any] = []
    for key in redis.scan_iter("*"):
        match redis.type(key):
            case "hash":
                found.append(redis.hgetall(key))
            case "zset":
                found.append(redis.zrange(key, 0, -1))
            case "stream":
                found.append(redis.xrange(key))
            case "set":
                found.append(redis.smembers(key))
            case "string":
                found.append(redis.get(key))
            case "list":
                found.append(redis.lrange(key, 0, -1))
        found.append(key)
    return found


def test_a_withdrawn_job_ends_the_wait_at_once_and_keeps_the_folder(make_job: MakeJob) -> None:
    with Engine(Reply(hangs=True)) as engine:
        site, job_id = make_job(engine.url, response_timeout="1h")

        def withdraw(request: Request) -> None:
            site.gate.withdraw(job_id)

        engine.replies[0] = Reply(hangs=True, meanwhile=withdraw)
        with pytest.raises(StepWithdrawnError):
            site.run_pipeline(job_id)
        wait_for(lambda: engine.left == [f"{job_id}.1"])
    # The engine may be at work in it all the same.
    assert site.folder(job_id).attempts() == 1
