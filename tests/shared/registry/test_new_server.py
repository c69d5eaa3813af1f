"""A server that was restarted or emptied may have forgotten what still runs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from deploy.embedded_server import EmbeddedServer
from shared.registry import keys
from shared.registry.connection import connect
from shared.registry.gate import Gate, Verdict
from shared.registry.step import StepEnd
from tests.shared.registry.steps import (
    BRIEF,
    LANE,
    LONG,
    QUEUE,
    done,
    granted_ids,
    granted_once_it_may,
    let_pass,
    server_time,
    start,
    started,
    step,
)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """One to restart."""
    with EmbeddedServer(tmp_path / "redis") as server:
        yield server


def empty(redis: Redis, gate: Gate, places: int = 100) -> None:
    redis.flushall()
    gate.announce_places("worker-1", {QUEUE: places})


def test_an_empty_server_admits_nobody_for_one_running_lease(redis: Redis):
    gate = Gate(redis, replace(LONG, running=0.3))
    empty(redis, gate)
    gate.submit(step("a"))
    before = server_time(redis)
    assert granted_ids(gate) == []
    assert granted_once_it_may(gate).step_id == "a"
    assert server_time(redis) - before > 0.298


def test_the_wait_begins_once_and_is_not_drawn_out_by_asking(redis: Redis):
    gate = Gate(redis, replace(LONG, running=0.3))
    empty(redis, gate)
    assert granted_ids(gate) == []
    let_pass(redis, 0.3)
    gate.submit(step("a"))
    assert granted_ids(gate) == ["a"]


def test_who_knows_that_nothing_runs_opens_it_at_once(redis: Redis):
    gate = Gate(redis, LONG)
    empty(redis, gate)
    gate.submit(step("a"))
    assert granted_ids(gate) == []
    gate.open()
    assert granted_ids(gate) == ["a"]


def test_opening_may_come_before_anybody_asked(redis: Redis):
    gate = Gate(redis, LONG)
    empty(redis, gate)
    gate.open()
    gate.submit(step("a"))
    assert granted_ids(gate) == ["a"]


def test_a_restarted_server_admits_nobody_and_takes_nothing_back_for_one_lease(
    own_server: EmbeddedServer,
):
    with connect(own_server.url) as redis:
        gate = Gate(redis, LONG)
        gate.open()
        gate.announce_places("worker-1", {QUEUE: 100})
        run = started(Gate(redis, BRIEF), "a")
        gate.submit(step("b"))
    own_server.stop()
    own_server.start()
    with connect(own_server.url) as redis:
        gate = Gate(redis, replace(LONG, running=0.3))
        gate.announce_places("worker-1", {QUEUE: 100})
        let_pass(redis, BRIEF.running)
        before = server_time(redis)
        assert granted_ids(gate) == []
        assert Gate(redis, LONG).beat(run) is Verdict.GO_ON
        assert granted_once_it_may(gate).step_id == "b"
        assert server_time(redis) - before > 0.298
        done(gate, run)


def test_the_epoch_changes_when_the_server_restarts_and_when_it_is_emptied(
    own_server: EmbeddedServer,
):
    seen = []
    with connect(own_server.url) as redis:
        gate = Gate(redis, LONG)
        gate.grant(QUEUE)
        seen.append(gate.epoch())
        gate.grant(QUEUE)
        assert gate.epoch() == seen[-1]
        let_pass(redis, 0)
        redis.flushall()
        seen.append(gate.epoch())
        gate.open()
        seen.append(gate.epoch())
    own_server.stop()
    own_server.start()
    with connect(own_server.url) as redis:
        gate = Gate(redis, LONG)
        gate.grant(QUEUE)
        seen.append(gate.epoch())
    assert len(set(seen)) == len(seen)


def test_a_beat_readopts_a_step_that_the_server_forgot(redis: Redis, gate: Gate):
    run = started(gate, "a")
    empty(redis, gate)
    assert gate.beat(run) is Verdict.GO_ON
    gate.open()
    assert gate.submit(step("a")) == "running"
    assert granted_ids(gate) == []
    assert gate.start("a", run.token, "another worker") is None
    done(gate, run)


def test_a_beat_readopts_a_forgotten_step_that_was_submitted_anew(redis: Redis, gate: Gate):
    run = started(gate, "a")
    empty(redis, gate)
    gate.submit(step("a"))
    assert granted_ids(gate) == []
    assert gate.beat(run) is Verdict.GO_ON
    gate.open()
    assert granted_ids(gate) == []
    done(gate, run)
    assert granted_ids(gate) == []


def test_a_readopted_step_holds_its_place_in_lane_and_queue(redis: Redis, gate: Gate):
    run = started(gate, "a")
    empty(redis, gate)
    gate.set_caps({LANE: 1})
    gate.beat(run)
    gate.open()
    gate.submit(step("b"))
    assert granted_ids(gate) == []
    done(gate, run)
    assert granted_ids(gate) == ["b"]


def test_a_readopted_step_keeps_its_attempts_and_its_lease_runs(redis: Redis, gate: Gate):
    assert gate.finish(started(gate, "a"), StepEnd.RETRYING)
    run = start(gate, granted_once_it_may(gate))
    empty(redis, gate)
    assert Gate(redis, BRIEF).beat(run) is Verdict.GO_ON
    gate.open()
    grant = granted_once_it_may(gate)
    assert (grant.step_id, grant.attempts) == ("a", 2)
    assert gate.beat(run) is Verdict.LOST


def test_of_two_that_claim_a_forgotten_step_the_first_has_it(redis: Redis, gate: Gate, brief: Gate):
    gate.submit(step("a"))
    old = start(brief, gate.grant(QUEUE)[0])
    new = start(gate, granted_once_it_may(gate), "worker-2")
    empty(redis, gate)
    assert gate.beat(new) is Verdict.GO_ON
    assert gate.beat(old) is Verdict.LOST
    assert not gate.finish(old, StepEnd.DONE)
    assert gate.beat(new) is Verdict.GO_ON


def test_a_forgotten_step_that_was_granted_again_is_lost_to_its_old_run(redis: Redis, gate: Gate):
    old = started(gate, "a")
    empty(redis, gate)
    gate.open()
    new = started(gate, "a", "worker-2")
    assert gate.beat(old) is Verdict.LOST
    assert not gate.finish(old, StepEnd.DONE)
    assert gate.beat(new) is Verdict.GO_ON


def test_a_beat_readopts_a_step_whose_start_was_lost_in_the_last_second(redis: Redis, gate: Gate):
    run = started(gate, "a")
    # As an append-only file that lacks its end has it.
    redis.hset(keys.STEP + "a", mapping={"state": "granted", "attempts": 0})
    redis.hdel(keys.STEP + "a", "caller")
    assert gate.beat(run) is Verdict.GO_ON
    assert gate.start("a", run.token, "who got the message again") is None
    assert gate.start("a", run.token, run.caller) == run
    done(gate, run)


@pytest.mark.parametrize("submitted_anew", [False, True])
@pytest.mark.parametrize("end", [StepEnd.DONE, StepEnd.FAILED])
def test_a_run_that_the_server_forgot_can_finish(
    redis: Redis, gate: Gate, end: StepEnd, submitted_anew: bool
):
    run = started(gate, "a")
    empty(redis, gate)
    if submitted_anew:
        gate.submit(step("a"))
    assert gate.finish(run, end)
    assert gate.finish(run, end)
    gate.open()
    assert gate.submit(step("a")) == end
    assert granted_ids(gate) == []


@pytest.mark.parametrize(("counted", "attempts"), [(True, 1), (False, 0)])
def test_a_run_that_the_server_forgot_can_be_tried_again(
    redis: Redis, gate: Gate, counted: bool, attempts: int
):
    run = started(gate, "a")
    empty(redis, gate)
    assert gate.finish(run, StepEnd.RETRYING, counted=counted)
    gate.open()
    grant = granted_once_it_may(gate)
    assert (grant.step_id, grant.attempts) == ("a", attempts)
    assert start(gate, grant).step == run.step
