"""Engines that take a call and tell later how it ended; what they tell, and whatever goes wrong."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.job import Job, JobState, Result
from shared.job_steps import pipeline_step
from shared.registry.queues import queues
from shared.registry.step import Queue
from shared.registry.views import find_job, history
from tests.support.engine import Engine, Reply, Request
from tests.support.waiting import wait_for
from tests.workers.faults import kills
from tests.workers.site import Given, Site
from workers.attempts.callback import CallbackRefusedError, finish
from workers.attempts.handover import HANDED_OVER_FILE, EngineAttempt, Told
from workers.attempts.pipeline_step import run_pipeline
from workers.steps.outcome import Done, Failed, HandedOver, TryAgain
from workers.steps.places import caps, nothing_runs
from workers.steps.step_runner import run_step

MakeSite = Callable[..., Site]


def job(site: Site, job_id: str) -> Job:
    return site.folder(job_id).read()


def state(site: Site, job_id: str) -> JobState:
    """The same on disk and in Redis, except for what only the gate knows."""
    recorded = find_job(site.redis, job_id).state
    on_disk = job(site, job_id).state
    assert recorded is on_disk or (on_disk, recorded) == (JobState.QUEUED, JobState.RUNNING)
    return recorded


def token(engine: Engine, number: int = -1) -> str:
    return str(engine.requests[number].json["token"])


def elsewhere(site: Site) -> int:
    return {view.queue: view.elsewhere for view in queues(site.redis)}[Queue.PIPELINE]


# Waiting


def test_while_an_engine_works_its_step_has_a_place_in_the_lane_and_none_of_a_worker(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    job_id = site.handed_over()
    second = site.dispatched(Given("1.2.4"))
    assert site.steps() == {**site.steps(), job_id: "handed over", second: "waiting"}
    assert state(site, job_id) is JobState.RUNNING
    assert elsewhere(site) == 1
    site.gate.announce_places("tests", {Queue.PIPELINE: 1})
    assert site.gate.grant(Queue.PIPELINE) == []  # the lane is full, the worker is not
    finish(site.context, job_id, token(engine), Told.SUCCEEDED)
    assert elsewhere(site) == 0
    assert site.steps()[second] == "granted"  # called up at once


def test_no_lock_is_held_meanwhile_and_the_token_is_not_on_disk(
    engine_site: Site, engine: Engine
) -> None:
    job_id = engine_site.handed_over()
    folder = engine_site.folder(job_id)
    lock = folder.try_run_lock()
    assert lock is not None
    lock.close()
    path = folder.path / "attempts/1" / HANDED_OVER_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert token(engine) not in path.read_text()


def test_the_run_that_called_the_engine_is_over_for_celery(engine_site: Site) -> None:
    site = engine_site
    job_id = site.dispatched(Given("1.2.3"))
    site.gate.announce_places("tests", {Queue.PIPELINE: 1})
    (grant,) = site.gate.grant(Queue.PIPELINE)
    run_step(site.context, run_pipeline, job_id, grant.token)
    assert site.steps()[job_id] == "handed over"


# Being told


def test_a_success_is_the_jobs_result_and_its_exports_wait(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    job_id = site.handed_over()
    finish(site.context, job_id, token(engine), Told.SUCCEEDED, "2 lesions")
    assert job(site, job_id).result == Result(attempt=1, folder="attempts/1/output")
    assert state(site, job_id) is JobState.EXPORTING
    assert site.steps()[job_id] == "done"
    assert site.steps()[f"{job_id}.PACS"] == "waiting"
    last = history(site.redis, job_id)[-1]
    assert last.what == 'attempt 1 succeeded; the engine says: "2 lesions"'


def test_a_failure_for_good_fails_the_job_and_the_engines_words_are_in_its_history_alone(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    with capture_logs() as lines:
        job_id = site.handed_over()
        finish(site.context, job_id, token(engine), Told.FAILED, "bad\x1b[2J " + "DOE^JOHN " * 99)
    assert state(site, job_id) is JobState.FAILED
    assert job(site, job_id).failure == find_job(site.redis, job_id).reason == "the engine failed"
    assert site.steps()[job_id] == "failed"
    error = history(site.redis, job_id)[-1].error
    assert 'the engine says: "bad [2J DOE^JOHN' in error
    assert len(error) < 250
    assert "DOE" not in str(lines)


def test_a_failure_that_may_pass_is_tried_again_as_a_new_attempt(
    make_engine_site: MakeSite, engine: Engine
) -> None:
    site = make_engine_site(max_attempts=2)
    job_id = site.handed_over()
    finish(site.context, job_id, token(engine), Told.RETRY, "no memory")
    assert site.steps()[job_id] == "retrying"
    view = find_job(site.redis, job_id)
    assert (view.state, view.reason) == (JobState.QUEUED, "the engine failed")
    assert view.retry_at is not None
    for _ in range(2):  # what is carried out is not carried out again
        site.reconcile()
    assert [line.what.partition(",")[0] for line in history(site.redis, job_id)].count(
        "attempt 1 failed"
    ) == 1
    site.gate.withdraw(job_id)  # its time has come
    assert isinstance(site.run_pipeline(job_id), HandedOver)
    assert engine.keys == [f"{job_id}.1", f"{job_id}.2"]
    assert token(engine, 0) != token(engine, 1)
    finish(site.context, job_id, token(engine), Told.RETRY)
    assert job(site, job_id).failure == "the engine failed (attempt 2 of 2)"


def test_told_again_it_is_the_same_answer_and_changes_nothing(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    job_id = site.handed_over()
    first = finish(site.context, job_id, token(engine), Told.SUCCEEDED, "one")
    lines, record = history(site.redis, job_id), job(site, job_id)
    again = finish(site.context, job_id, token(engine), Told.SUCCEEDED, "two")
    assert (again.told, again.message, again.at) == (first.told, first.message, first.at)
    assert (history(site.redis, job_id), job(site, job_id)) == (lines, record)
    with pytest.raises(CallbackRefusedError, match="attempt 1 is over: succeeded"):
        finish(site.context, job_id, token(engine), Told.FAILED)
    assert job(site, job_id) == record


def test_who_has_no_token_of_the_job_is_refused(engine_site: Site, engine: Engine) -> None:
    site = engine_site
    job_id, other = site.handed_over(), site.dispatched(Given("1.2.4"))
    for wrong, words in (("guess", "has this token"), ("", "has this token")):
        with pytest.raises(CallbackRefusedError, match=words):
            finish(site.context, job_id, wrong, Told.SUCCEEDED)
    with pytest.raises(CallbackRefusedError, match="has this token"):
        finish(site.context, other, token(engine), Told.SUCCEEDED)
    for unknown in ("20261122T104907-3f9c2a41d07e", "../jobs", ""):
        with pytest.raises(CallbackRefusedError, match="no such job"):
            finish(site.context, unknown, token(engine), Told.SUCCEEDED)
    assert state(site, job_id) is JobState.RUNNING


def tells_already(site: Site) -> Callable[[Request], None]:
    """Says that it is done while it is still being called."""

    def tell(request: Request) -> None:
        finish(site.context, request.json["job"], request.json["token"], Told.SUCCEEDED)

    return tell


def test_an_engine_may_tell_before_it_has_answered_the_call(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    engine.replies = [Reply(202, meanwhile=tells_already(site))]
    job_id = site.dispatched(Given("1.2.3"))
    assert site.run_pipeline(job_id) == Done()
    assert state(site, job_id) is JobState.EXPORTING


def test_an_engine_that_tells_and_then_breaks_off_has_told(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    engine.replies = [Reply(500, meanwhile=tells_already(site))]
    job_id = site.dispatched(Given("1.2.3"))
    assert site.run_pipeline(job_id) == Done()
    assert len(engine.requests) == 1


def test_told_between_the_answer_and_the_hand_over_it_is_carried_out_all_the_same(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    job_id = site.dispatched(Given("1.2.3"))
    site.gate.announce_places("tests", {Queue.PIPELINE: 1})
    (grant,) = site.gate.grant(Queue.PIPELINE)

    def run(context: Any, lease: Any) -> Any:
        outcome = run_pipeline(context, lease)
        held = site.folder(job_id).try_run_lock()
        assert held is not None
        with held:
            finish(site.context, job_id, token(engine), Told.SUCCEEDED)
        assert job(site, job_id).result is None
        return outcome

    run_step(site.context, run, job_id, grant.token)
    assert state(site, job_id) is JobState.EXPORTING
    assert site.steps()[job_id] == "done"


# The deadline


def lapse(site: Site, job_id: str) -> None:
    """The deadline of the newest attempt is over, on disk and at the gate."""
    called = EngineAttempt.latest(site.folder(job_id), job(site, job_id))
    assert called is not None
    past = called.handover.model_copy(update={"deadline": datetime.now(UTC)})
    called._write(past)
    site.gate.hand_over(past.run, 0)


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


def test_a_person_may_retry_what_an_engine_has_failed(engine_site: Site, engine: Engine) -> None:
    site = engine_site
    job_id = site.handed_over()
    finish(site.context, job_id, token(engine), Told.FAILED)
    site.acts.retry(job_id)
    assert isinstance(site.run_pipeline(job_id), HandedOver)
    assert engine.keys == [f"{job_id}.1", f"{job_id}.2"]
    finish(site.context, job_id, token(engine), Told.SUCCEEDED)
    assert state(site, job_id) is JobState.EXPORTING


# People


def test_a_cancelled_job_frees_its_place_and_takes_no_word_of_its_engine(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    job_id, second = site.handed_over(), site.dispatched(Given("1.2.4"))
    site.acts.cancel(job_id)
    assert elsewhere(site) == 0
    with pytest.raises(CallbackRefusedError, match="its job was cancelled"):
        finish(site.context, job_id, token(engine), Told.SUCCEEDED)
    assert state(site, job_id) is JobState.CANCELLED
    assert isinstance(site.run_pipeline(second), HandedOver)


def test_what_comes_while_the_job_is_held_is_kept_until_it_is_released(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    job_id = site.handed_over()
    site.acts.hold(job_id)
    finish(site.context, job_id, token(engine), Told.SUCCEEDED)
    assert state(site, job_id) is JobState.HELD
    assert f"{job_id}.PACS" not in {k for k, v in site.steps().items() if v == "waiting"}
    site.acts.release(job_id)
    assert state(site, job_id) is JobState.EXPORTING


def test_released_before_its_engine_has_told_it_waits_on_without_a_second_call(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    job_id = site.handed_over()
    site.acts.hold(job_id)
    site.acts.release(job_id)
    assert isinstance(site.run_pipeline(job_id), HandedOver)
    assert len(engine.requests) == 1
    finish(site.context, job_id, token(engine), Told.SUCCEEDED)
    assert state(site, job_id) is JobState.EXPORTING
    assert site.steps()[job_id] == "done"


# Crashes, and Redis


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


def test_a_worker_that_starts_knows_that_an_engine_is_at_work(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    job_id = site.handed_over()
    assert not nothing_runs(site.tree)
    finish(site.context, job_id, token(engine), Told.SUCCEEDED)
    assert nothing_runs(site.tree)
    second = site.handed_over()
    lapse(site, second)
    assert nothing_runs(site.tree)


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
        called = EngineAttempt.latest(site.folder(job_id), job(site, job_id))
        assert called is not None
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
    called = EngineAttempt.latest(site.folder(job_id), job(site, job_id))
    assert called is not None
    assert called.answer is not None
    assert called.answer.carried_out
