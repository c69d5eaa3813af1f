"""Engines that take a call and tell later how it ended; and what people do meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.job import Result
from shared.job_state import JobState
from shared.registry.queues import queues
from shared.registry.step import Queue
from shared.registry.views import find_job, history
from tests.support.engine import Engine, Reply, Request
from tests.workers.attempts.engines import job, lapse, state, token
from tests.workers.site import Given, MakeSite, Site
from workers.attempts.callback import CallbackRefusedError, finish
from workers.attempts.handover import HANDED_OVER_FILE, Told
from workers.attempts.pipeline_step import run_pipeline
from workers.steps.outcome import Done, HandedOver
from workers.steps.places import nothing_runs
from workers.steps.step_runner import run_step


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


def test_a_person_may_retry_what_an_engine_has_failed(engine_site: Site, engine: Engine) -> None:
    site = engine_site
    job_id = site.handed_over()
    finish(site.context, job_id, token(engine), Told.FAILED)
    site.acts.retry(job_id)
    assert isinstance(site.run_pipeline(job_id), HandedOver)
    assert engine.keys == [f"{job_id}.1", f"{job_id}.2"]
    finish(site.context, job_id, token(engine), Told.SUCCEEDED)
    assert state(site, job_id) is JobState.EXPORTING
