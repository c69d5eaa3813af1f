"""Steps of what is about to be removed, and steps that are forgotten."""

import pytest
from redis import Redis

from shared.job_state import JobState
from shared.registry import keys
from shared.registry.gate import Gate, Verdict
from shared.registry.jobs import JobRecords
from shared.registry.step import StepEnd
from tests.shared.registry.jobs import job
from tests.shared.registry.steps import done, granted_ids, started, step


def bring_to(gate: Gate, state: str) -> None:
    """Step "a" in a state, the only one in the gate."""
    if state == "unknown":
        return
    gate.submit(step("a"))
    match state:
        case "granted":
            assert granted_ids(gate) == ["a"]
        case "running":
            started(gate, "a")
        case "retrying":
            gate.finish(started(gate, "a"), StepEnd.RETRYING, delay=60)
        case "done" | "failed":
            gate.finish(started(gate, "a"), StepEnd(state))
        case "removing":
            gate.finish(started(gate, "a"), StepEnd.DONE)
            assert gate.retire(["a"])


AT_REST = ["unknown", "done", "failed", "removing"]
UNDER_WAY = ["waiting", "retrying", "granted", "running"]


@pytest.mark.parametrize("state", AT_REST)
def test_steps_at_rest_are_retired(gate: Gate, state: str):
    bring_to(gate, state)
    assert gate.retire(["a", "b"])
    assert gate.submit(step("a")) == gate.submit(step("b")) == "removing"
    assert granted_ids(gate) == []


@pytest.mark.parametrize("state", UNDER_WAY)
def test_a_step_under_way_keeps_all_from_being_retired(gate: Gate, state: str):
    bring_to(gate, state)
    assert not gate.retire(["b", "a"])
    assert gate.submit(step("a")) == state
    assert gate.submit(step("b")) == "waiting"


def test_a_run_whose_step_is_retired_is_over(redis: Redis, gate: Gate):
    run = started(gate, "a")
    redis.flushall()
    assert gate.retire(["a"])
    assert gate.beat(run) is Verdict.LOST
    assert not gate.finish(run, StepEnd.DONE)
    assert gate.start("a", run.token, "another") is None


def test_the_record_of_a_job_that_is_being_removed_is_not_made_anew(redis: Redis, gate: Gate):
    records = JobRecords(redis)
    assert gate.retire([job().id])
    assert not records.create(job(), JobState.DONE, "found on disk")
    assert redis.zcard(keys.JOBS_BY_TIME) == 0


def test_what_is_retired_is_forgotten_after_a_while(redis: Redis, gate: Gate):
    gate.retire(["a"])
    assert 0 < redis.ttl(f"{keys.STEP}a") <= 600


def test_withdrawing_it_does_not_bring_it_back(gate: Gate):
    gate.retire(["a"])
    assert not gate.withdraw("a")
    assert gate.submit(step("a")) == "removing"


@pytest.mark.parametrize("state", ["done", "failed"])
def test_an_end_that_is_forgotten_lets_the_step_be_submitted_anew(gate: Gate, state: str):
    bring_to(gate, state)
    gate.forget_end("a")
    assert gate.submit(step("a")) == "waiting"
    assert granted_ids(gate) == ["a"]


@pytest.mark.parametrize("state", [*UNDER_WAY, "removing"])
def test_a_step_without_an_end_has_none_to_forget(gate: Gate, state: str):
    bring_to(gate, state)
    gate.forget_end("a")
    assert gate.submit(step("a")) == state


@pytest.mark.parametrize("state", ["unknown", "done", "failed", "waiting", "retrying"])
def test_a_step_that_nobody_is_at_is_forgotten(redis: Redis, gate: Gate, state: str):
    bring_to(gate, state)
    assert gate.forget("a")
    assert not redis.exists(f"{keys.STEP}a")
    assert gate.waiting() == {}


@pytest.mark.parametrize("state", ["granted", "running", "removing"])
def test_a_step_at_work_is_not_forgotten(gate: Gate, state: str):
    bring_to(gate, state)
    assert not gate.forget("a")
    assert gate.submit(step("a")) == state


def test_steps_that_wait_for_a_place_or_a_time_are_listed(gate: Gate):
    gate.finish(started(gate, "due"), StepEnd.RETRYING, delay=60)
    done(gate, started(gate, "done"))
    started(gate, "running")
    gate.submit(step("waiting"))
    gate.submit(step("other", "pipeline:other"))
    assert gate.waiting() == {id_: f"job-of-{id_}" for id_ in ("due", "waiting", "other")}
