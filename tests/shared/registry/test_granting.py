"""Who is admitted, in which order, and how many at once."""

import pytest
from redis import Redis

from shared.registry import gate as gate_module
from shared.registry import keys
from shared.registry.gate import Gate, Verdict
from shared.registry.step import Priority, Queue, StepEnd
from tests.shared.registry.steps import (
    LANE,
    QUEUE,
    done,
    granted_ids,
    granted_once_it_may,
    let_pass,
    server_time,
    start,
    started,
    step,
    submit_in_turn,
)


def test_a_submitted_step_is_granted_once(gate: Gate):
    assert gate.submit(step("a")) == "waiting"
    assert granted_ids(gate) == ["a"]
    assert granted_ids(gate) == []


def test_submitting_again_changes_nothing_whatever_the_step_is_doing(gate: Gate):
    assert [gate.submit(step("a")) for _ in range(3)] == ["waiting"] * 3
    (grant,) = gate.grant(QUEUE)
    assert gate.submit(step("a")) == "granted"
    run = start(gate, grant)
    assert gate.submit(step("a")) == "running"
    gate.finish(run, StepEnd.RETRYING, delay=60)
    assert gate.submit(step("a")) == "retrying"
    assert granted_ids(gate) == []


def test_submitting_again_costs_a_step_no_place_in_the_line(redis: Redis, gate: Gate):
    submit_in_turn(redis, gate, step("b"), step("a"), step("b"))
    assert granted_ids(gate) == ["b", "a"]


@pytest.mark.parametrize("end", [StepEnd.DONE, StepEnd.FAILED])
def test_a_step_that_ended_is_not_run_again_by_a_late_submit(gate: Gate, end: StepEnd):
    assert gate.finish(started(gate, "a"), end)
    assert gate.submit(step("a")) == end
    assert granted_ids(gate) == []


def test_the_oldest_goes_first_over_all_lanes(redis: Redis, gate: Gate):
    submit_in_turn(redis, gate, step("z"), step("m", "other"), step("a"), step("k", "other"))
    assert granted_ids(gate) == ["z", "m", "a", "k"]


def test_priority_goes_before_age(redis: Redis, gate: Gate):
    submit_in_turn(
        redis,
        gate,
        step("low", priority=Priority.LOW),
        step("normal"),
        step("stat", priority=Priority.STAT),
        step("stat in another lane", "other", Priority.STAT),
    )
    assert granted_ids(gate) == ["stat", "stat in another lane", "normal", "low"]


def test_a_grant_carries_the_attempts_that_came_before(redis: Redis, gate: Gate):
    gate.submit(step("a"))
    for attempts in range(3):
        grant = granted_once_it_may(gate)
        assert grant.attempts == attempts
        gate.finish(start(gate, grant), StepEnd.RETRYING)


def test_queues_do_not_mix(gate: Gate):
    gate.submit(step("a", queue=Queue.EXPORT, lane="export:PACS"))
    assert granted_ids(gate, Queue.PIPELINE) == []
    assert granted_ids(gate, Queue.DISPATCH) == []
    assert granted_ids(gate, Queue.EXPORT) == ["a"]


def test_the_third_of_three_waits_for_a_place_of_its_queue(redis: Redis, gate: Gate):
    gate.set_caps({QUEUE: 2})
    submit_in_turn(redis, gate, step("a", "one"), step("b", "two"), step("c", "three"))
    first, second = gate.grant(QUEUE)
    assert [first.step_id, second.step_id] == ["a", "b"]
    run = start(gate, first)
    assert granted_ids(gate) == []
    done(gate, run)
    assert granted_ids(gate) == ["c"]


def test_a_full_lane_holds_up_no_other_lane(redis: Redis, gate: Gate):
    gate.set_caps({LANE: 1})
    submit_in_turn(redis, gate, step("a"), step("b"), step("c", "other"))
    grants = gate.grant(QUEUE)
    assert [grant.step_id for grant in grants] == ["a", "c"]
    done(gate, start(gate, grants[0]))
    assert granted_ids(gate) == ["b"]


def test_a_lane_with_cap_0_is_shut(gate: Gate):
    gate.set_caps({LANE: 0})
    gate.submit(step("a"))
    assert granted_ids(gate) == []


def test_new_caps_take_the_place_of_all_old_ones(gate: Gate):
    gate.set_caps({LANE: 0, "other": 0})
    gate.set_caps({"other": 0})
    gate.submit(step("a"))
    gate.submit(step("b", "other"))
    assert granted_ids(gate) == ["a"]


def test_caps_of_older_settings_are_ignored(gate: Gate):
    assert gate.set_caps({LANE: 0}, as_of=1000.002)
    assert not gate.set_caps({LANE: 5}, as_of=1000.001)
    assert not gate.set_caps({})
    gate.submit(step("a"))
    assert granted_ids(gate) == []
    assert gate.set_caps({LANE: 1}, as_of=1000.002)  # a worker with the same settings
    assert granted_ids(gate) == ["a"]
    assert gate.set_caps({}, as_of=1000.003)
    gate.submit(step("b"))
    assert granted_ids(gate) == ["b"]


def test_a_server_that_was_emptied_takes_any_caps(redis: Redis, gate: Gate):
    gate.set_caps({LANE: 1}, as_of=2000)
    redis.flushall()
    assert gate.set_caps({LANE: 2}, as_of=1000)


def test_a_step_submitted_for_later_waits_until_then_and_then_goes_by_its_age(
    redis: Redis, gate: Gate
):
    before = server_time(redis)
    assert gate.submit(step("a"), delay=0.2) == "retrying"
    let_pass(redis, 0)
    gate.submit(step("b"))
    assert granted_ids(gate) == ["b"]
    gate.set_caps({LANE: 1})
    gate.submit(step("c"))
    let_pass(redis, 0.2)
    gate.set_caps({})
    assert granted_ids(gate) == ["a", "c"]
    assert server_time(redis) - before > 0.2


def test_submitted_for_later_it_holds_no_place_and_counts_no_attempt(gate: Gate):
    gate.set_caps({LANE: 1})
    gate.submit(step("a"), delay=0.05)
    gate.submit(step("b"))
    (grant,) = gate.grant(QUEUE)
    done(gate, start(gate, grant))
    assert granted_once_it_may(gate).attempts == 0


@pytest.mark.parametrize("delay", [0, 60])
def test_submitting_again_does_not_change_when_it_is_due(redis: Redis, gate: Gate, delay: float):
    gate.submit(step("a"), delay=30)
    due = redis.zscore(keys.DUE + LANE, "a")
    assert gate.submit(step("a"), delay) == "retrying"
    assert redis.zscore(keys.DUE + LANE, "a") == due


def test_one_that_runs_though_submitted_for_later_anew_is_adopted(redis: Redis, gate: Gate):
    run = started(gate, "a")
    redis.flushall()
    gate.submit(step("a"), delay=60)
    assert gate.beat(run) is Verdict.GO_ON
    assert not redis.exists(keys.DUE + LANE)
    done(gate, run)


def test_a_lower_cap_admits_nobody_until_enough_have_left(gate: Gate):
    for step_id in "abc":
        gate.submit(step(step_id))
    runs = [start(gate, grant) for grant in gate.grant(QUEUE)]
    gate.submit(step("d"))
    gate.set_caps({LANE: 1})
    for run in runs:
        assert granted_ids(gate) == []
        done(gate, run)
    assert granted_ids(gate) == ["d"]


def test_no_more_are_granted_than_places_were_announced(gate: Gate):
    gate.announce_places("worker-1", {QUEUE: 1, Queue.EXPORT: 50})
    gate.announce_places("worker-2", {QUEUE: 2})
    for number in range(5):
        gate.submit(step(f"{number}"))
    grants = gate.grant(QUEUE)
    assert len(grants) == 3
    assert granted_ids(gate) == []
    done(gate, start(gate, grants[0]))
    assert len(granted_ids(gate)) == 1


def test_announcing_again_replaces_what_the_worker_said_before(gate: Gate):
    gate.announce_places("worker-1", {QUEUE: 3})
    gate.announce_places("worker-1", {QUEUE: 1})
    for number in range(3):
        gate.submit(step(f"{number}"))
    assert len(gate.grant(QUEUE)) == 1


def test_withdrawn_places_do_not_count(gate: Gate):
    gate.announce_places("worker-1", {QUEUE: 0})
    gate.submit(step("a"))
    assert granted_ids(gate) == []
    gate.announce_places("worker-2", {QUEUE: 1})
    assert granted_ids(gate) == ["a"]


def test_places_of_one_queue_are_withdrawn_alone(gate: Gate):
    gate.announce_places("worker-1", {QUEUE: 0, Queue.EXPORT: 1})
    gate.submit(step("a"))
    gate.submit(step("b", "export:PACS", queue=Queue.EXPORT))
    assert granted_ids(gate) == []
    assert granted_ids(gate, Queue.EXPORT) == ["b"]


def test_places_of_a_worker_that_fell_silent_do_not_count(
    redis: Redis, gate: Gate, monkeypatch: pytest.MonkeyPatch
):
    gate.announce_places("worker-1", {QUEUE: 0})
    with monkeypatch.context() as patch:
        patch.setattr(gate_module, "_PLACES_LAST", 0.05)
        gate.announce_places("worker-2", {QUEUE: 5})
    let_pass(redis, 0.05)
    gate.submit(step("a"))
    assert granted_ids(gate) == []
    gate.announce_places("worker-2", {QUEUE: 5})
    assert granted_ids(gate) == ["a"]


def test_many_waiting_steps_are_all_admitted_by_a_few_calls(gate: Gate):
    for number in range(40):
        gate.submit(step(f"{number:02}"))
    found: list[str] = []
    for _ in range(3):
        found += granted_ids(gate)
    assert sorted(found) == [f"{number:02}" for number in range(40)]


def test_a_priority_has_the_name_that_settings_use():
    assert [Priority.named(name) for name in ("stat", "normal", "low")] == sorted(Priority)
