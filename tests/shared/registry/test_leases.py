"""Starting, beating, and what becomes of a step whose worker is gone."""

from dataclasses import replace

from redis import Redis

from shared.registry.gate import Gate, Verdict
from shared.registry.step import Priority, StepEnd
from tests.shared.registry.steps import (
    BRIEF,
    LANE,
    QUEUE,
    done,
    granted_ids,
    granted_once_it_may,
    let_pass,
    start,
    started,
    step,
)


def test_a_run_knows_its_step_as_it_was_submitted(gate: Gate):
    submitted = step("a", priority=Priority.STAT)
    gate.submit(submitted)
    (grant,) = gate.grant(QUEUE)
    run = start(gate, grant, "me")
    assert (run.step, run.token, run.caller, run.attempt) == (submitted, grant.token, "me", 1)


def test_only_the_granted_token_starts_a_step(gate: Gate):
    gate.submit(step("a"))
    assert gate.start("a", "", "worker-1") is None
    (grant,) = gate.grant(QUEUE)
    assert gate.start("a", "another token", "worker-1") is None
    assert gate.start("unheard of", grant.token, "worker-1") is None
    assert gate.start("a", grant.token, "worker-1") is not None


def test_a_doubled_message_starts_nothing_but_the_same_caller_may_ask_twice(gate: Gate):
    gate.submit(step("a"))
    (grant,) = gate.grant(QUEUE)
    run = start(gate, grant, "worker-1")
    assert gate.start("a", grant.token, "worker-2") is None
    assert gate.start("a", grant.token, "worker-1") == run
    assert run.attempt == 1  # counted once


def test_a_finished_step_is_not_started_by_a_late_message(gate: Gate):
    run = started(gate, "a")
    done(gate, run)
    assert gate.start("a", run.token, "worker-1") is None
    assert gate.start("a", "", "worker-1") is None


def test_a_grant_that_nobody_starts_is_given_again_with_a_new_token(gate: Gate, brief: Gate):
    gate.submit(step("a"))
    (lost,) = brief.grant(QUEUE)
    again = granted_once_it_may(gate)
    assert again.step_id == "a"
    assert again.token != lost.token
    assert again.attempts == 0  # it never started
    assert gate.start("a", lost.token, "worker-1") is None
    start(gate, again)


def test_a_grant_is_not_given_again_before_its_lease_ran_out(redis: Redis, gate: Gate):
    brief = Gate(redis, BRIEF)
    gate.submit(step("a"))
    begun = redis.time()
    assert brief.grant(QUEUE)
    granted_once_it_may(gate)
    ended = redis.time()
    passed = (ended[0] - begun[0]) + (ended[1] - begun[1]) / 1e6
    assert passed > BRIEF.granted - 0.002


def test_a_lease_that_ran_out_is_granted_again_and_the_old_run_is_told_so(gate: Gate, brief: Gate):
    gate.submit(step("a"))
    old = start(brief, gate.grant(QUEUE)[0])
    again = granted_once_it_may(gate)
    assert (again.step_id, again.attempts) == ("a", 1)
    assert gate.beat(old) is Verdict.LOST
    assert not gate.finish(old, StepEnd.DONE)
    new = start(gate, again, old.caller)
    assert new.attempt == 2
    assert gate.beat(old) is Verdict.LOST
    assert not gate.finish(old, StepEnd.RETRYING)
    assert gate.beat(new) is Verdict.GO_ON
    done(gate, new)


def test_a_step_taken_back_that_waits_again_is_lost_to_its_old_run(gate: Gate, brief: Gate):
    old = started(brief, "a")
    gate.set_caps({LANE: 0})
    gate.grant(QUEUE)
    while gate.submit(step("a")) == "running":
        gate.grant(QUEUE)
    assert gate.beat(old) is Verdict.LOST
    assert not gate.finish(old, StepEnd.DONE)
    assert gate.submit(step("a")) == "waiting"


def test_a_beat_extends_the_lease(redis: Redis, gate: Gate, brief: Gate):
    run = started(brief, "a")
    assert gate.beat(run) is Verdict.GO_ON
    let_pass(redis, BRIEF.running)
    assert granted_ids(gate) == []
    done(gate, run)


def test_asking_again_to_start_extends_the_lease(redis: Redis, gate: Gate, brief: Gate):
    run = started(brief, "a", "worker-1")
    assert gate.start("a", run.token, "worker-1") == run
    let_pass(redis, BRIEF.running)
    assert granted_ids(gate) == []


def test_starting_is_what_the_longer_lease_begins_with(redis: Redis, gate: Gate, brief: Gate):
    gate.submit(step("a"))
    (grant,) = brief.grant(QUEUE)
    start(gate, grant)
    let_pass(redis, BRIEF.granted)
    assert granted_ids(gate) == []


def test_a_late_beat_saves_the_run_while_nobody_else_was_granted(
    redis: Redis, gate: Gate, brief: Gate
):
    run = started(brief, "a")
    let_pass(redis, BRIEF.running)
    assert gate.beat(run) is Verdict.GO_ON
    assert granted_ids(gate) == []


def test_a_lease_that_ran_out_frees_its_place(gate: Gate, brief: Gate):
    gate.set_caps({QUEUE: 1})
    started(brief, "a")
    gate.submit(step("b", priority=Priority.STAT))
    assert granted_once_it_may(gate).step_id == "b"
    assert granted_ids(gate) == []


def test_a_step_taken_back_stands_where_its_age_says(redis: Redis, gate: Gate, brief: Gate):
    gate.set_caps({LANE: 1})
    started(brief, "z, the oldest")
    let_pass(redis, 0)
    gate.submit(step("a, younger"))
    assert granted_once_it_may(gate).step_id == "z, the oldest"


def test_of_two_runs_with_one_token_only_the_one_that_was_let_in_goes_on(gate: Gate):
    run = started(gate, "a", "worker-1")
    assert gate.beat(replace(run, caller="worker-2")) is Verdict.LOST
    assert gate.beat(run) is Verdict.GO_ON


def test_starts_that_came_to_no_foreseen_end_are_counted(gate: Gate, brief: Gate):
    """A worker's death, and an end that its body did not foresee."""
    died = started(brief, "a")
    broke = start(gate, granted_once_it_may(gate))
    assert (died.breaks, broke.breaks) == (1, 2)
    gate.finish(broke, StepEnd.RETRYING, broken=True)
    for _ in range(3):
        foreseen = start(gate, granted_once_it_may(gate))
        assert foreseen.breaks == 3
        gate.finish(foreseen, StepEnd.RETRYING)
    assert foreseen.attempt == 5


def test_an_emptied_server_learns_that_count_from_who_still_runs(redis: Redis, gate: Gate):
    gate.finish(started(gate, "a"), StepEnd.RETRYING, broken=True)
    run = start(gate, granted_once_it_may(gate))
    redis.flushall()
    gate.announce_places("worker-1", {QUEUE: 100})
    gate.open()
    gate.finish(run, StepEnd.RETRYING, broken=True)
    assert start(gate, granted_once_it_may(gate)).breaks == 3
