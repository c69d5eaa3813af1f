"""Steps that wait for something else than their time, and lanes that are well without an end."""

import pytest
from redis import Redis

from shared.destination_state import DestinationState
from shared.job_state import JobState
from shared.registry import keys
from shared.registry.destinations import destinations
from shared.registry.failed_jobs import failed_jobs
from shared.registry.gate import Gate
from shared.registry.jobs import DestinationProgress, JobRecords
from shared.registry.step import StepEnd, Trouble
from tests.shared.registry.jobs import job
from tests.shared.registry.steps import LANE, granted_ids, started, step


def test_a_step_that_is_due_later_is_hastened_once(redis: Redis, gate: Gate) -> None:
    gate.finish(started(gate, "a"), StepEnd.RETRYING, delay=3600, counted=False)
    assert granted_ids(gate) == []
    assert gate.hasten("a")
    assert not gate.hasten("a")
    assert redis.zcard(keys.DUE + LANE) == 0
    assert granted_ids(gate) == ["a"]


@pytest.mark.parametrize("state", ["unknown", "waiting", "running", "done"])
def test_any_other_step_stays_as_it_is(redis: Redis, gate: Gate, state: str) -> None:
    if state == "waiting":
        gate.submit(step("a"))
    elif state != "unknown":
        run = started(gate, "a")
        if state == "done":
            gate.finish(run, StepEnd.DONE)
    before = redis.hgetall(keys.STEP + "a")
    assert not gate.hasten("a")
    assert redis.hgetall(keys.STEP + "a") == before


def test_a_lane_that_recovered_is_no_longer_held_to_one_place(redis: Redis, gate: Gate) -> None:
    gate.finish(started(gate, "a"), StepEnd.RETRYING, delay=3600, trouble=Trouble(9, 600))
    gate.submit(step("b"))
    gate.submit(step("c"))
    assert granted_ids(gate) == ["b"]
    gate.recovered(LANE)
    assert granted_ids(gate) == ["c"]


def test_exports_that_wait_for_a_commitment_are_counted_apart(redis: Redis, gate: Gate) -> None:
    records = JobRecords(redis)
    states = (
        DestinationState.AWAITING_COMMITMENT,
        DestinationState.NOT_CONFIRMED,
        DestinationState.FAILED,
        DestinationState.COMMITMENT_CONFIRMED,
    )
    for age, state in enumerate(states):
        records.create(job(state, age=age), JobState.EXPORTING, "found on disk")
        records.set_destination(state, "PACS", DestinationProgress(state))
    (view,) = [each for each in destinations(redis) if each.name == "PACS"]
    assert (view.unconfirmed, view.failed, view.owed) == (1, 2, 0)
    assert set(failed_jobs(redis, destination="PACS")) == {"failed", "not confirmed"}
