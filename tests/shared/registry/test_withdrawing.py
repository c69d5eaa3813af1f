"""A step taken back, whatever it is doing; and what a run of it that turns up late is told."""

import pytest
from redis import Redis

from shared.registry import keys
from shared.registry.gate import Gate, Verdict
from shared.registry.step import StepEnd
from tests.shared.registry.steps import (
    LANE,
    QUEUE,
    done,
    granted_ids,
    granted_once_it_may,
    start,
    started,
    step,
)


def check_gone(redis: Redis, gate: Gate) -> None:
    """In no line, in no place, and never granted; submitted anew it begins anew."""
    assert not any(redis.exists(index + LANE) for index in (keys.WAITING, keys.DUE, keys.LEASES))
    gate.set_caps({LANE: 1})
    assert granted_ids(gate) == []
    assert gate.submit(step("a")) == "waiting"
    (grant,) = gate.grant(QUEUE)
    assert (grant.step_id, grant.attempts) == ("a", 0)
    assert redis.ttl(keys.STEP + "a") == -1  # for as long as it takes
    run = start(gate, grant)
    assert (run.step, run.breaks) == (step("a"), 1)
    done(gate, run)
    assert gate.submit(step("a")) == "done"


def test_one_that_nobody_knows(redis: Redis, gate: Gate):
    assert not gate.withdraw("a")
    check_gone(redis, gate)


def test_one_that_waits(redis: Redis, gate: Gate):
    gate.submit(step("a"))
    assert not gate.withdraw("a")
    check_gone(redis, gate)


def test_one_that_is_submitted_for_later(redis: Redis, gate: Gate):
    gate.submit(step("a"), delay=60)
    assert not gate.withdraw("a")
    check_gone(redis, gate)


def test_one_that_is_due_again(redis: Redis, gate: Gate):
    gate.finish(started(gate, "a"), StepEnd.RETRYING, delay=60)
    assert not gate.withdraw("a")
    check_gone(redis, gate)


def test_one_that_is_granted_and_its_message_is_still_under_way(redis: Redis, gate: Gate):
    gate.submit(step("a"))
    (late,) = gate.grant(QUEUE)
    assert not gate.withdraw("a")
    assert gate.start("a", late.token, "worker-1") is None
    gate.submit(step("a"))
    assert gate.start("a", late.token, "worker-1") is None
    gate.withdraw("a")
    check_gone(redis, gate)


@pytest.mark.parametrize("end", [StepEnd.DONE, StepEnd.FAILED])
def test_one_that_has_ended(redis: Redis, gate: Gate, end: StepEnd):
    gate.finish(started(gate, "a"), end)
    assert not gate.withdraw("a")
    check_gone(redis, gate)


@pytest.mark.parametrize("end", [StepEnd.FAILED, StepEnd.RETRYING, StepEnd.WITHDRAWN])
def test_one_that_runs_is_told_and_is_not_run_again(redis: Redis, gate: Gate, end: StepEnd):
    run = started(gate, "a")
    assert gate.withdraw("a")
    assert gate.withdraw("a")
    assert gate.beat(run) is Verdict.WITHDRAWN
    assert gate.beat(run) is Verdict.WITHDRAWN
    assert gate.submit(step("a")) == "running"  # it has its place until it stops
    assert granted_ids(gate) == []
    for _ in range(2):
        assert gate.finish(run, end)
    assert not gate.withdraw("a")
    check_gone(redis, gate)


def test_one_that_runs_and_is_done_before_it_hears_is_done(gate: Gate):
    run = started(gate, "a")
    assert gate.withdraw("a")
    done(gate, run)
    assert gate.submit(step("a")) == "done"


def test_one_that_runs_and_whose_worker_dies_is_not_run_again(
    redis: Redis, gate: Gate, brief: Gate
):
    run = started(brief, "a")
    assert gate.withdraw("a")
    gate.submit(step("b"))
    gate.set_caps({LANE: 1})
    done(gate, start(gate, granted_once_it_may(gate)))  # b: the dead one's place is free
    assert gate.beat(run) is Verdict.WITHDRAWN
    assert not gate.finish(run, StepEnd.DONE)
    check_gone(redis, gate)


def test_a_run_cut_off_from_redis_does_not_come_back_as_the_step(
    redis: Redis, gate: Gate, brief: Gate
):
    """Its lease ran out, the step waits again and is withdrawn; then the old run is back."""
    cut_off = started(brief, "a")
    gate.set_caps({LANE: 0})
    while gate.submit(step("a")) == "running":
        gate.grant(QUEUE)
    assert not gate.withdraw("a")
    assert gate.beat(cut_off) is Verdict.WITHDRAWN
    gate.submit(step("a"))
    assert gate.beat(cut_off) is Verdict.LOST
    assert not gate.finish(cut_off, StepEnd.DONE)
    gate.withdraw("a")
    check_gone(redis, gate)


def test_one_that_an_emptied_server_has_forgotten_is_told_too(redis: Redis, gate: Gate):
    run = started(gate, "a")
    redis.flushall()
    assert not gate.withdraw("a")
    assert gate.beat(run) is Verdict.WITHDRAWN
    assert not gate.finish(run, StepEnd.RETRYING)
    gate.open()
    gate.announce_places("worker-1", {QUEUE: 100})
    check_gone(redis, gate)


def test_one_that_was_withdrawn_while_it_ran_before_the_server_was_emptied_goes_on(
    redis: Redis, gate: Gate
):
    """The server cannot know: who withdrew it finds that on the disk and says it again."""
    run = started(gate, "a")
    assert gate.withdraw("a")
    redis.flushall()
    assert gate.beat(run) is Verdict.GO_ON
    assert gate.withdraw("a")
    assert gate.beat(run) is Verdict.WITHDRAWN


def test_what_is_left_of_it_goes_with_time(redis: Redis, gate: Gate):
    gate.submit(step("a"))
    gate.withdraw("a")
    assert 0 < redis.ttl(keys.STEP + "a") <= 24 * 3600


def test_a_body_that_finds_nothing_to_do_leaves_a_step_that_may_be_submitted_anew(
    redis: Redis, gate: Gate
):
    assert gate.finish(started(gate, "a"), StepEnd.WITHDRAWN)
    check_gone(redis, gate)


def test_one_that_was_withdrawn_can_be_removed_and_then_is_not_brought_back(gate: Gate):
    gate.submit(step("a"))
    gate.withdraw("a")
    assert gate.retire(["a"])
    gate.withdraw("a")
    assert gate.submit(step("a")) == "removing"


def test_one_that_was_withdrawn_needs_not_be_forgotten(gate: Gate):
    run = started(gate, "a")
    gate.withdraw("a")
    gate.finish(run, StepEnd.WITHDRAWN)
    gate.forget_end("a")
    assert gate.forget("a")
    assert gate.submit(step("a")) == "waiting"
