"""Engines that do not tell how it ended before their deadline."""

from typing import Any

import pytest

from shared.job import Result
from shared.registry.step import Queue
from shared.registry.views import history
from tests.support.engine import Engine, Reply
from tests.support.waiting import wait_for
from tests.workers.attempts.engines import job, lapse, token
from tests.workers.site import Given, MakeSite, Site
from workers.attempts.callback import CallbackRefusedError, finish
from workers.attempts.handover import Told
from workers.attempts.pipeline_step import run_pipeline
from workers.steps.outcome import Failed, HandedOver, TryAgain


def rerun(site: Site, job_id: str) -> Any:
    """As the gate grants it again by itself."""
    site.gate.announce_places("tests", {Queue.PIPELINE: 1})
    (grant,) = wait_for(lambda: site.gate.grant(Queue.PIPELINE))
    site.gate.announce_places("tests", {Queue.PIPELINE: 0})
    assert grant.step_id == job_id
    run = site.gate.start(job_id, grant.token, "tests")
    assert run is not None
    with site.lease(run) as lease:
        outcome = run_pipeline(site.context, lease)
    if isinstance(outcome, HandedOver):
        site.gate.hand_over(run, outcome.deadline)
    return outcome


def test_past_its_deadline_an_attempt_has_failed_and_a_late_word_of_it_changes_nothing(
    make_engine_site: MakeSite, engine: Engine
) -> None:
    site = make_engine_site(max_attempts=2)
    job_id = site.handed_over()
    lapse(site, job_id)
    assert isinstance(rerun(site, job_id), HandedOver)
    assert engine.keys == [f"{job_id}.1", f"{job_id}.2"]
    with pytest.raises(CallbackRefusedError, match="attempt 1 is over: given up"):
        finish(site.context, job_id, token(engine, 0), Told.SUCCEEDED)
    assert job(site, job_id).result is None
    finish(site.context, job_id, token(engine, 1), Told.SUCCEEDED)
    assert job(site, job_id).result == Result(attempt=2, folder="attempts/2/output")
    said = [(line.what, line.error) for line in history(site.redis, job_id)]
    assert ("attempt 1 failed", "no answer within its deadline") in said


def test_when_the_deadline_of_the_last_attempt_is_over_the_job_fails(
    make_engine_site: MakeSite,
) -> None:
    site = make_engine_site(max_attempts=1)
    job_id = site.handed_over()
    lapse(site, job_id)
    reason = "no answer within its deadline (attempt 1 of 1)"
    assert rerun(site, job_id) == Failed(reason)
    assert job(site, job_id).failure == reason


def test_a_deadline_is_no_broken_run(make_engine_site: MakeSite) -> None:
    """Else a job with many attempts would be given up for breaking off."""
    site = make_engine_site(max_attempts=20)
    job_id = site.handed_over()
    for _ in range(3):
        lapse(site, job_id)
        rerun(site, job_id)
    lapse(site, job_id)
    site.gate.announce_places("tests", {Queue.PIPELINE: 1})
    (grant,) = site.gate.grant(Queue.PIPELINE)
    run = site.gate.start(job_id, grant.token, "tests")
    assert run is not None
    assert run.breaks == 1


def test_an_engine_that_cannot_be_called_uses_its_attempt_up_at_the_deadline(
    make_engine_site: MakeSite, engine: Engine
) -> None:
    site = make_engine_site(max_attempts=1, deadline="1s")
    engine.replies = [Reply(503)]
    job_id = site.dispatched(Given("1.2.3"))
    outcome = wait_for(
        lambda: None if isinstance(found := site.run_pipeline(job_id), TryAgain) else found
    )
    assert outcome == Failed("no answer within its deadline (attempt 1 of 1)")
    assert set(engine.keys) == {f"{job_id}.1"}
