"""How a run ends: for good, or to be tried again; and a lane in trouble."""

import pytest
from redis import Redis

from shared.registry.gate import Gate, Verdict
from shared.registry.step import Priority, Queue, StepEnd, Trouble
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

PACS, ARCHIVE = "export:PACS", "export:ARCHIVE"
TROUBLE = Trouble(shut_after=9, patience=600)


@pytest.mark.parametrize("end", [StepEnd.DONE, StepEnd.FAILED, StepEnd.RETRYING])
def test_a_finish_repeated_is_the_same_finish(gate: Gate, end: StepEnd):
    run = started(gate, "a")
    assert gate.finish(run, end, delay=60)
    assert gate.finish(run, end, delay=60)
    assert gate.submit(step("a")) == end


def test_a_finish_repeated_does_not_end_the_next_run(gate: Gate):
    first = started(gate, "a")
    assert gate.finish(first, StepEnd.RETRYING, counted=False)
    second = start(gate, granted_once_it_may(gate))
    assert gate.finish(first, StepEnd.RETRYING, counted=False)
    assert gate.beat(second) is Verdict.GO_ON
    assert gate.finish(second, StepEnd.RETRYING)
    assert granted_once_it_may(gate).attempts == 1


def test_a_finished_run_is_over(gate: Gate):
    run = started(gate, "a")
    done(gate, run)
    assert gate.beat(run) is Verdict.LOST
    assert gate.submit(step("a")) == "done"


def test_a_retry_waits_until_it_is_due(redis: Redis, gate: Gate):
    run = started(gate, "a")
    before = server_time(redis)
    assert gate.finish(run, StepEnd.RETRYING, delay=0.25)
    assert granted_once_it_may(gate).token != run.token
    assert server_time(redis) - before > 0.248


def test_a_retry_holds_no_place_while_it_waits(gate: Gate):
    gate.set_caps({LANE: 1})
    assert gate.finish(started(gate, "a"), StepEnd.RETRYING, delay=60)
    gate.submit(step("b"))
    assert granted_ids(gate) == ["b"]


def test_a_retry_that_is_due_waits_its_turn(redis: Redis, gate: Gate):
    gate.set_caps({LANE: 1})
    run = started(gate, "a")
    let_pass(redis, 0)
    gate.submit(step("b"))
    gate.submit(step("urgent", priority=Priority.STAT))
    assert gate.finish(run, StepEnd.RETRYING)
    let_pass(redis, 0)
    order = []
    for _ in range(3):
        grant = granted_once_it_may(gate)
        assert granted_ids(gate) == []
        order.append(grant.step_id)
        done(gate, start(gate, grant))
    assert order == ["urgent", "a", "b"]


def test_a_retry_that_is_due_is_waiting_like_any_other(redis: Redis, gate: Gate):
    assert gate.finish(started(gate, "a"), StepEnd.RETRYING)
    gate.set_caps({LANE: 0})
    let_pass(redis, 0)
    assert granted_ids(gate) == []
    assert gate.submit(step("a")) == "waiting"


def test_attempts_count_when_they_start(gate: Gate):
    run = started(gate, "a")
    for attempt in (1, 2, 3):
        assert run.attempt == attempt
        assert gate.finish(run, StepEnd.RETRYING)
        run = start(gate, granted_once_it_may(gate))


def test_a_run_that_does_not_count_leaves_the_attempts_as_they_were(gate: Gate):
    run = started(gate, "a")
    assert gate.finish(run, StepEnd.RETRYING)
    for _ in range(2):
        grant = granted_once_it_may(gate)
        assert grant.attempts == 1
        run = start(gate, grant)
        assert run.attempt == 2
        assert gate.finish(run, StepEnd.RETRYING, counted=False)


def test_a_troubled_lane_is_held_to_one_place_until_a_step_of_it_is_done(redis: Redis, gate: Gate):
    gate.set_caps({Queue.EXPORT: 2})
    submit_in_turn(
        redis,
        gate,
        *(step(f"pacs {n}", PACS, queue=Queue.EXPORT) for n in range(5)),
        *(step(f"archive {n}", ARCHIVE, queue=Queue.EXPORT) for n in range(2)),
    )
    first, second = (start(gate, grant) for grant in gate.grant(Queue.EXPORT))
    assert [first.step.lane, second.step.lane] == [PACS, PACS]

    gate.finish(first, StepEnd.RETRYING, delay=60, trouble=TROUBLE)
    (grant,) = gate.grant(Queue.EXPORT)  # one of the troubled lane still runs
    assert grant.step_id == "archive 0"
    done(gate, start(gate, grant))  # a success elsewhere proves nothing
    assert granted_ids(gate, Queue.EXPORT) == ["archive 1"]

    gate.finish(second, StepEnd.RETRYING, delay=60, trouble=TROUBLE)
    (grant,) = gate.grant(Queue.EXPORT)
    assert grant.step_id == "pacs 2"
    gate.set_caps({Queue.EXPORT: 10})
    assert granted_ids(gate, Queue.EXPORT) == []

    done(gate, start(gate, grant))
    assert granted_ids(gate, Queue.EXPORT) == ["pacs 3", "pacs 4"]


def test_a_step_that_fails_without_trouble_neither_makes_nor_ends_it(gate: Gate):
    for number in range(4):
        gate.submit(step(f"{number}"))
    runs = [start(gate, grant) for grant in gate.grant(QUEUE)]
    gate.submit(step("x"))
    gate.submit(step("y"))
    gate.finish(runs[0], StepEnd.FAILED)
    assert len(gate.grant(QUEUE)) == 2
    gate.finish(runs[1], StepEnd.RETRYING, delay=60, trouble=TROUBLE)
    gate.finish(runs[2], StepEnd.FAILED)
    gate.finish(runs[3], StepEnd.RETRYING, delay=60)
    gate.submit(step("z"))
    assert granted_ids(gate) == []  # x and y hold more than the one place left


def test_a_cap_of_a_troubled_lane_is_never_raised_to_one(gate: Gate):
    gate.finish(started(gate, "a"), StepEnd.RETRYING, trouble=TROUBLE)
    gate.set_caps({LANE: 0})
    gate.submit(step("b"))
    assert granted_ids(gate) == []
