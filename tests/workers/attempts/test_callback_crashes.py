"""Killed at any moment, with Redis emptied, or told twice at once: a word counts once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.job_state import JobState
from shared.job_steps import pipeline_step
from shared.registry.step import Queue
from tests.support.engine import Engine
from tests.workers.attempts.engines import job, newest, state, token
from tests.workers.faults import kills
from tests.workers.site import Given, Site
from workers.attempts.callback import CallbackRefusedError, finish
from workers.attempts.handover import EngineAttempt, Told
from workers.attempts.pipeline_step import run_pipeline
from workers.steps.outcome import HandedOver
from workers.steps.places import caps


def test_emptied_of_all_redis_gets_back_what_was_handed_over_before_anything_else_may_start(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    job_id, second = site.handed_over(), site.dispatched(Given("1.2.4"))
    site.redis.flushall()
    site.reconcile()
    site.gate.open()
    site.gate.set_caps(caps(site.context.settings))
    assert site.steps() == {job_id: "handed over", second: "waiting"}
    site.gate.announce_places("tests", {Queue.PIPELINE: 5})
    assert site.gate.grant(Queue.PIPELINE) == []
    site.reconcile()
    assert state(site, job_id) is JobState.RUNNING
    finish(site.context, job_id, token(engine), Told.SUCCEEDED)
    assert site.steps()[job_id] == "done"
    assert state(site, job_id) is JobState.EXPORTING
    assert len(engine.requests) == 1


def test_told_while_redis_knows_nothing_it_is_done(engine_site: Site, engine: Engine) -> None:
    site = engine_site
    job_id = site.handed_over()
    site.redis.flushall()
    finish(site.context, job_id, token(engine), Told.SUCCEEDED)
    site.reconcile()
    assert state(site, job_id) is JobState.EXPORTING
    assert site.steps()[job_id] == "done"


def test_killed_after_any_write_of_the_call_it_is_called_again_by_the_same_key(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    for kill in kills(least=8):
        site.empty()
        engine.requests.clear()
        job_id = site.dispatched(Given("1.2.3"))
        with site.lease(site.start(pipeline_step(job(site, job_id)))) as lease:
            with kill:
                run_pipeline(site.context, lease)
            called = EngineAttempt.latest(site.folder(job_id), job(site, job_id))
            if called is None and site.folder(job_id).attempts():
                continue  # it died before anybody could have been called: a lost attempt
            assert isinstance(run_pipeline(site.context, lease), HandedOver)
        assert set(engine.keys) == {f"{job_id}.1"}
        assert 1 <= len(engine.requests) <= 2
        assert len({request.body for request in engine.requests}) == 1
        finish(site.context, job_id, token(engine, 0), Told.SUCCEEDED)
        assert job(site, job_id).state is JobState.EXPORTING


@pytest.mark.parametrize("told", [Told.SUCCEEDED, Told.FAILED, Told.RETRY])
def test_killed_after_any_write_of_the_word_it_counts_once_it_is_noted(
    engine_site: Site, engine: Engine, told: Told
) -> None:
    site = engine_site
    states = {
        Told.SUCCEEDED: JobState.EXPORTING,
        Told.FAILED: JobState.FAILED,
        Told.RETRY: JobState.QUEUED,
    }
    at_the_gate = {Told.SUCCEEDED: "done", Told.FAILED: "failed", Told.RETRY: "retrying"}
    for kill in kills(least=6):
        site.empty()
        engine.requests.clear()
        job_id = site.handed_over()
        with kill:
            finish(site.context, job_id, token(engine), told)
        called = newest(site, job_id)
        if called.answer is None:
            finish(site.context, job_id, token(engine), told)
        site.reconcile()
        assert state(site, job_id) is states[told]
        assert site.steps()[job_id] == at_the_gate[told]
        assert called.answer is not None
        assert called.answer.carried_out


def test_two_words_at_once_are_one(engine_site: Site, engine: Engine) -> None:
    site = engine_site
    job_id = site.handed_over()

    def tell(number: int) -> str:
        told = Told.SUCCEEDED if number % 2 else Told.RETRY
        try:
            return finish(site.context, job_id, token(engine), told).told
        except CallbackRefusedError:
            return "refused"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(tell, range(16)))
    assert len(set(answers) - {"refused"}) == 1
    assert answers.count("refused") == 8
    called = newest(site, job_id)
    assert called.answer is not None
    assert called.answer.carried_out
