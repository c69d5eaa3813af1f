"""Engines that are told that nobody wants their work any more."""

import hashlib
import hmac
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from shared.acts import JobActs
from shared.job_state import JobState
from shared.registry import keys
from shared.registry.views import history
from tests.support.engine import Engine, Reply, Request
from tests.support.waiting import wait_for
from tests.workers.site import Given, MakeSite, Site
from workers.attempts import engine_stop
from workers.attempts.callback import CallbackRefusedError, finish
from workers.attempts.handover import EngineAttempt, Told
from workers.steps.lease import StepWithdrawnError
from workers.steps.outcome import Done, HandedOver


@pytest.fixture
def make_stoppable(make_engine_site: MakeSite, engine: Engine) -> MakeSite:
    """A function of options of a pipeline whose engine can be told to stop."""
    told = {
        "cancel_url": engine.url.replace("/engine", "/cancel"),
        "secret": "s3cret",
        "max_attempts": 1,
    }
    return lambda **options: make_engine_site(**told | options)


@pytest.fixture
def stoppable(make_stoppable: MakeSite) -> Site:
    return make_stoppable()


def cancels(engine: Engine) -> list[Request]:
    return [request for request in engine.requests if request.path.startswith("/cancel")]


def told(site: Site, job_id: str) -> list[str]:
    return [line.what for line in history(site.redis, job_id) if "to stop" in line.what]


@pytest.mark.parametrize("act", [JobActs.cancel, JobActs.hold])
def test_the_engine_of_a_cancelled_or_held_job_is_told_once_by_a_signed_call(
    stoppable: Site, engine: Engine, act: Callable[[JobActs, str], object]
) -> None:
    site = stoppable
    job_id = site.handed_over()
    act(site.acts, job_id)
    for _ in range(3):
        site.reconcile()
    wait_for(lambda: told(site, job_id))
    site.reconcile()
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
    stoppable: Site, engine: Engine
) -> None:
    """And the one before was none, of which there may be one alone."""
    site = stoppable
    job_id = site.handed_over()
    site.acts.hold(job_id)
    site.reconcile()
    wait_for(lambda: told(site, job_id))
    site.acts.release(job_id)
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
    stoppable: Site, engine: Engine
) -> None:
    site = stoppable
    job_id = site.handed_over()
    site.acts.hold(job_id)
    finish(site.context, job_id, engine.requests[0].json["token"], Told.SUCCEEDED)
    site.reconcile()
    site.acts.release(job_id)
    assert site.folder(job_id).read().state is JobState.EXPORTING
    assert not cancels(engine)


def test_an_engine_that_waits_to_answer_is_told_when_its_job_is_cancelled(
    make_stoppable: MakeSite, engine: Engine
) -> None:
    site = make_stoppable(mode="wait", response_timeout="1h")
    job_id = site.dispatched(Given("1.2.3"))
    engine.replies = [
        Reply(hangs=True, meanwhile=lambda _: site.acts.cancel(job_id) and None),
        Reply(200),
    ]
    with pytest.raises(StepWithdrawnError):
        site.run_pipeline(job_id)
    site.reconcile()
    wait_for(lambda: told(site, job_id))
    (cancel,) = cancels(engine)
    assert cancel.json["idempotency_key"] == f"{job_id}.1"
    assert "token" not in cancel.json


def test_past_its_deadline_an_engine_is_told_before_the_next_attempt_is_called(
    make_stoppable: MakeSite, engine: Engine
) -> None:
    site = make_stoppable(deadline="1ms", max_attempts=2)
    job_id = site.handed_over()
    site.redis.zadd(keys.HANDED_OVER + "pipeline:keep", {job_id: 1})
    assert isinstance(site.run_pipeline(job_id), HandedOver)
    paths = [request.path.partition("?")[0] for request in engine.requests]
    assert paths == ["/engine", "/cancel", "/engine"]
    assert engine.requests[1].json["attempt"] == 1


def test_an_engine_that_knows_of_no_work_has_been_told(stoppable: Site, engine: Engine) -> None:
    site = stoppable
    job_id = site.handed_over()
    engine.replies = [Reply(404)]
    site.acts.cancel(job_id)
    site.reconcile()
    wait_for(lambda: told(site, job_id))
    called = EngineAttempt.all(site.folder(job_id))[0]
    assert not called.works_for_nothing


def test_an_engine_that_does_not_answer_is_told_later_and_by_whom_comes_next(
    stoppable: Site, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = stoppable
    job_id = site.handed_over()
    monkeypatch.setattr(engine_stop, "_DELAYS", (0, 0.01, 0.01))
    engine.replies = [Reply(503)]
    site.acts.cancel(job_id)
    with capture_logs() as lines:
        site.reconcile()
        wait_for(
            lambda: told(site, job_id) == ["the engine of attempt 1 could not be told to stop"]
        )
    assert [line["reason"] for line in lines if line["event"] == "engine not told to stop"] == [
        "HTTP status 503"
    ]
    assert len(cancels(engine)) == 3
    engine.replies = [Reply(503), Reply(200)]
    wait_for(lambda: site.reconcile() or len(told(site, job_id)) == 2)  # as a worker that starts
    assert len(cancels(engine)) == 5


def test_without_an_address_for_it_nobody_is_told_and_a_held_jobs_engine_works_on(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    job_id = site.handed_over()
    site.acts.hold(job_id)
    site.reconcile()
    finish(site.context, job_id, engine.requests[0].json["token"], Told.SUCCEEDED)
    site.acts.release(job_id)
    assert site.folder(job_id).read().state is JobState.EXPORTING
    assert len(engine.requests) == 1


def test_a_job_that_is_held_after_its_engine_has_answered_has_its_result(
    make_stoppable: MakeSite, engine: Engine
) -> None:
    site = make_stoppable(mode="wait")
    engine.replies = [Reply(200)]
    job_id = site.dispatched(Given("1.2.3"))
    assert site.run_pipeline(job_id) == Done()
    site.acts.hold(job_id)
    site.reconcile()
    assert not cancels(engine)
