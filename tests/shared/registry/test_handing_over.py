"""A step that goes on elsewhere: no lease, no worker's place, and its place in the lane."""

import pytest
from redis import Redis

from shared.registry import keys
from shared.registry.gate import Gate, Verdict
from shared.registry.queues import queues
from shared.registry.step import Priority, StepEnd
from tests.shared.registry.steps import (
    LANE,
    QUEUE,
    done,
    granted_ids,
    granted_once_it_may,
    server_time,
    start,
    started,
    step,
)


def test_it_keeps_its_place_in_the_lane_until_it_is_finished(redis: Redis, gate: Gate):
    gate.set_caps({LANE: 1})
    run = started(gate, "a")
    assert gate.hand_over(run, 60) is Verdict.GO_ON
    gate.submit(step("b"))
    assert granted_ids(gate) == []
    assert gate.finish(run, StepEnd.DONE)
    assert granted_ids(gate) == ["b"]


def test_it_holds_no_place_of_a_worker(redis: Redis, gate: Gate):
    gate.announce_places("worker-1", {QUEUE: 1})
    run = started(gate, "a")
    gate.hand_over(run, 60)
    gate.submit(step("b"))
    assert granted_ids(gate) == ["b"]
    view = {view.queue: view for view in queues(redis)}[QUEUE]
    assert (view.running, view.elsewhere) == (1, 1)


def test_past_its_deadline_it_is_granted_again_and_whoever_had_it_has_lost_it(
    redis: Redis, gate: Gate
):
    run = started(gate, "a")
    gate.hand_over(run, 0.05)
    again = granted_once_it_may(gate)
    assert again.step_id == "a"
    assert gate.hand_over(run, 60) is Verdict.LOST
    assert not gate.finish(run, StepEnd.DONE)
    later = start(gate, again)
    assert (later.attempt, later.breaks) == (2, 1)  # a deadline is foreseen


def test_one_that_holds_on_keeps_its_place_though_nobody_takes_it_up_in_time(
    redis: Redis, gate: Gate
):
    gate.set_caps({LANE: 1})
    gate.hand_over(started(gate, "a"), 0, holds_on=True)
    gate.announce_places("worker-1", {QUEUE: 0})  # its time is over, and there is no place for it
    gate.submit(step("urgent", priority=Priority.STAT))
    assert granted_ids(gate) == []
    (view,) = (view for view in queues(redis) if view.queue is QUEUE)
    assert view.oldest is not None
    assert abs(view.oldest.timestamp() - server_time(redis)) < 60
    gate.announce_places("worker-1", {QUEUE: 2})
    (again,) = gate.grant(QUEUE)
    assert again.step_id == "a"
    gate.finish(start(gate, again), StepEnd.RETRYING)
    assert granted_ids(gate) == ["urgent"]


def test_handed_over_again_its_deadline_is_the_newer_one(redis: Redis, gate: Gate):
    run = started(gate, "a")
    gate.hand_over(run, 0)
    assert gate.hand_over(run, 60) is Verdict.GO_ON
    assert granted_ids(gate) == []


def test_a_late_beat_of_the_run_changes_nothing(redis: Redis, gate: Gate):
    run = started(gate, "a")
    gate.hand_over(run, 60)
    assert gate.beat(run) is Verdict.GO_ON
    assert not redis.exists(keys.LEASES + LANE)


def test_a_message_that_was_doubled_does_not_start_it(redis: Redis, gate: Gate):
    run = started(gate, "a")
    gate.hand_over(run, 60)
    assert gate.start("a", run.token, "worker-2") is None
    assert gate.start("a", run.token, run.caller) is None


@pytest.mark.parametrize("submitted", [False, True], ids=["", "submitted anew before"])
def test_a_server_that_was_emptied_takes_it_as_it_was(redis: Redis, gate: Gate, submitted: bool):
    run = started(gate, "a")
    gate.hand_over(run, 60)
    redis.flushall()
    gate.open()
    gate.set_caps({LANE: 1})
    gate.announce_places("worker-1", {QUEUE: 2})
    if submitted:
        gate.submit(step("a"))
    assert gate.hand_over(run, 60) is Verdict.GO_ON
    gate.submit(step("b"))
    assert granted_ids(gate) == []
    done(gate, run)
    assert granted_ids(gate) == ["b"]


def test_withdrawn_it_is_gone_at_once(redis: Redis, gate: Gate):
    run = started(gate, "a")
    gate.hand_over(run, 60)
    assert not gate.withdraw("a")
    assert not redis.exists(keys.HANDED_OVER + LANE)
    assert gate.hand_over(run, 60) is Verdict.WITHDRAWN
    assert gate.submit(step("a")) == "waiting"


def test_withdrawn_while_it_still_ran_it_is_not_handed_over(redis: Redis, gate: Gate):
    run = started(gate, "a")
    assert gate.withdraw("a")
    assert gate.hand_over(run, 60) is Verdict.WITHDRAWN
    assert not redis.exists(keys.HANDED_OVER + LANE)
    assert gate.submit(step("a")) == "waiting"


def test_it_can_be_tried_again_at_a_later_time(redis: Redis, gate: Gate):
    run = started(gate, "a")
    gate.hand_over(run, 60)
    assert gate.finish(run, StepEnd.RETRYING, delay=0)
    assert granted_ids(gate) == ["a"]


def test_what_is_elsewhere_is_not_to_be_removed(redis: Redis, gate: Gate):
    gate.hand_over(started(gate, "a"), 60)
    assert not gate.retire(["a"])
    assert not gate.forget("a")
