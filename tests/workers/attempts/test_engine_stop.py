"""Engines that are told that nobody wants their work any more."""

import hashlib
import hmac
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from shared.acts import JobActs
from shared.job import JobState
from shared.registry import keys
from shared.registry.views import history
from tests.support.engine import Engine, Reply, Request
from tests.support.waiting import wait_for
from tests.workers.site import Given, Site
from workers.attempts import engine_stop
from workers.attempts.callback import CallbackRefusedError, finish
from workers.attempts.handover import EngineAttempt, Told
from workers.reconciling.reconciler import Reconciler
from workers.steps.lease import StepWithdrawnError
from workers.steps.outcome import Done, HandedOver
from workers.steps.places import caps

MakeSite = Callable[..., Site]


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(Reply(202)) as running:
        yield running


@pytest.fixture
def make_engine_site(make_site: MakeSite, engine: Engine) -> MakeSite:
    def make(**options: object) -> Site:
        pipeline = {
            "kind": "webhook",
            "url": engine.url,
            "cancel_url": engine.url.replace("/engine", "/cancel"),
            "mode": "callback",
            "secret": "s3cret",
            "max_parallel": 1,
            "max_attempts": 1,
            "export_to": ["PACS"],
        }
        workers = {"reconcile": "0s", "beat": "50ms"}
        section = {name: each for name, each in (pipeline | options).items() if each is not None}
        pacs = {"ae_title": "PACS", "host": "127.0.0.1", "port": 104}
        site = make_site(pipelines={"keep": section}, destinations={"PACS": pacs}, workers=workers)
        site.gate.set_caps(caps(site.context.settings))
        return site

    return make


@pytest.fixture
def engine_site(make_engine_site: MakeSite) -> Site:
    return make_engine_site()


def handed_over(site: Site) -> str:
    job_id = site.dispatched(Given("1.2.3"))
    assert isinstance(site.run_pipeline(job_id), HandedOver)
    return job_id


def acts(site: Site) -> JobActs:
    return JobActs.of(site.context.settings, site.redis, "alice@here")


def reconcile(site: Site) -> None:
    Reconciler(site.context).tick()


def cancels(engine: Engine) -> list[Request]:
    return [request for request in engine.requests if request.path.startswith("/cancel")]


def told(site: Site, job_id: str) -> list[str]:
    return [line.what for line in history(site.redis, job_id) if "to stop" in line.what]


@pytest.mark.parametrize("act", [JobActs.cancel, JobActs.hold])
def test_the_engine_of_a_cancelled_or_held_job_is_told_once_by_a_signed_call(
    engine_site: Site, engine: Engine, act: Callable[[JobActs, str], object]
) -> None:
    site = engine_site
    job_id = handed_over(site)
    act(acts(site), job_id)
    for _ in range(3):
        reconcile(site)
    wait_for(lambda: told(site, job_id))
    reconcile(site)
    (cancel,) = cancels(engine)
    call = engine.requests[0].json
    names = ("job", "attempt", "pipeline", "idempotency_key", "token")
    assert cancel.json == {name: call[name] for name in names}
    assert cancel.headers["Idempotency-Key"] == f"{job_id}.1.cancel"
    signature = hmac.new(b"s3cret", cancel.body, hashlib.sha256).hexdigest()
    assert cancel.headers["Penstock-Signature"] == f"sha256={signature}"
    assert told(site, job_id) == ["the engine of attempt 1 was told to stop"]
    with pytest.raises(CallbackRefusedError, match="attempt 1 is over: its job was"):
        finish(site.context, job_id, call["token"], Told.SUCCEEDED)


def test_held_while_its_engine_worked_a_released_job_begins_an_attempt_anew(
    engine_site: Site, engine: Engine
) -> None:
    """And the one before was none, of which there may be one alone."""
    site = engine_site
    job_id = handed_over(site)
    acts(site).hold(job_id)
    reconcile(site)
    wait_for(lambda: told(site, job_id))
    acts(site).release(job_id)
    assert isinstance(site.run_pipeline(job_id), HandedOver)
    assert [request.json["attempt"] for request in engine.requests if "input" in request.json] == [
        1,
        2,
    ]
    token = engine.requests[-1].json["token"]
    finish(site.context, job_id, token, Told.SUCCEEDED)
    job = site.folder(job_id).read()
    assert job.result is not None
    assert job.result.folder == "attempts/2/output"


def test_what_an_engine_told_before_the_job_was_held_counts(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    job_id = handed_over(site)
    acts(site).hold(job_id)
    finish(site.context, job_id, engine.requests[0].json["token"], Told.SUCCEEDED)
    reconcile(site)
    acts(site).release(job_id)
    assert site.folder(job_id).read().state is JobState.EXPORTING
    assert not cancels(engine)


def test_an_engine_that_waits_to_answer_is_told_when_its_job_is_cancelled(
    make_engine_site: MakeSite, engine: Engine
) -> None:
    site = make_engine_site(mode="wait", response_timeout="1h")
    job_id = site.dispatched(Given("1.2.3"))
    engine.replies = [
        Reply(hangs=True, meanwhile=lambda _: acts(site).cancel(job_id) and None),
        Reply(200),
    ]
    with pytest.raises(StepWithdrawnError):
        site.run_pipeline(job_id)
    reconcile(site)
    wait_for(lambda: told(site, job_id))
    (cancel,) = cancels(engine)
    assert cancel.json["idempotency_key"] == f"{job_id}.1"
    assert "token" not in cancel.json


def test_past_its_deadline_an_engine_is_told_before_the_next_attempt_is_called(
    make_engine_site: MakeSite, engine: Engine
) -> None:
    site = make_engine_site(deadline="1ms", max_attempts=2)
    job_id = handed_over(site)
    site.redis.zadd(keys.HANDED_OVER + "pipeline:keep", {job_id: 1})
    assert isinstance(site.run_pipeline(job_id), HandedOver)
    paths = [request.path.partition("?")[0] for request in engine.requests]
    assert paths == ["/engine", "/cancel", "/engine"]
    assert engine.requests[1].json["attempt"] == 1


def test_an_engine_that_knows_of_no_work_has_been_told(engine_site: Site, engine: Engine) -> None:
    site = engine_site
    job_id = handed_over(site)
    engine.replies = [Reply(404)]
    acts(site).cancel(job_id)
    reconcile(site)
    wait_for(lambda: told(site, job_id))
    called = EngineAttempt.all(site.folder(job_id))[0]
    assert not called.works_for_nothing


def test_an_engine_that_does_not_answer_is_told_later_and_by_whom_comes_next(
    engine_site: Site, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = engine_site
    job_id = handed_over(site)
    monkeypatch.setattr(engine_stop, "_DELAYS", (0, 0.01, 0.01))
    engine.replies = [Reply(503)]
    acts(site).cancel(job_id)
    with capture_logs() as lines:
        reconcile(site)
        wait_for(
            lambda: told(site, job_id) == ["the engine of attempt 1 could not be told to stop"]
        )
    assert [line["reason"] for line in lines if line["event"] == "engine not told to stop"] == [
        "HTTP status 503"
    ]
    assert len(cancels(engine)) == 3
    engine.replies = [Reply(503), Reply(200)]
    wait_for(lambda: reconcile(site) or len(told(site, job_id)) == 2)  # as a worker that starts
    assert len(cancels(engine)) == 5


def test_without_an_address_for_it_nobody_is_told_and_a_held_jobs_engine_works_on(
    make_engine_site: MakeSite, engine: Engine
) -> None:
    site = make_engine_site(cancel_url=None)
    job_id = handed_over(site)
    acts(site).hold(job_id)
    reconcile(site)
    finish(site.context, job_id, engine.requests[0].json["token"], Told.SUCCEEDED)
    acts(site).release(job_id)
    assert site.folder(job_id).read().state is JobState.EXPORTING
    assert len(engine.requests) == 1


def test_a_job_that_is_held_after_its_engine_has_answered_has_its_result(
    make_engine_site: MakeSite, engine: Engine
) -> None:
    site = make_engine_site(mode="wait")
    engine.replies = [Reply(200)]
    job_id = site.dispatched(Given("1.2.3"))
    assert site.run_pipeline(job_id) == Done()
    acts(site).hold(job_id)
    reconcile(site)
    assert not cancels(engine)
