"""Lanes that are shut after failures in a row, their probes, and lanes that a person paused."""

import pytest
from redis import Redis

from shared.registry import keys
from shared.registry.destinations import Breaker, destination_healths
from shared.registry.gate import Gate
from shared.registry.step import PROBE, Priority, Queue, Run, Step, StepEnd, Trouble
from tests.shared.registry.steps import (
    done,
    granted_ids,
    granted_once_it_may,
    let_pass,
    server_time,
    start,
    step,
    submit_in_turn,
)

EXPORT = Queue.EXPORT
PACS, ARCHIVE = "export:PACS", "export:ARCHIVE"
PROBE_OF_PACS = PROBE + PACS
DAY = 86400
TROUBLE = Trouble(shut_after=3, patience=DAY)


def export(step_id: str, lane: str = PACS) -> Step:
    return step(step_id, lane, queue=EXPORT)


def fails(gate: Gate, run: Run, delay: float = 60, trouble: Trouble = TROUBLE) -> None:
    assert gate.finish(run, StepEnd.RETRYING, reason="refused", delay=delay, trouble=trouble)


def shut(redis: Redis, gate: Gate, delay: float = 60) -> None:
    """Two wait for a minute after their failures, the third for `delay`, and so does the probe."""
    submit_in_turn(redis, gate, *(export(name) for name in "abc"))
    runs = [start(gate, grant) for grant in gate.grant(EXPORT)]
    for run, wait in zip(runs, (60, 60, delay), strict=True):
        fails(gate, run, wait)


def health(redis: Redis, name: str = "PACS"):
    return destination_healths(redis, [name])[name]


def test_after_failures_in_a_row_nothing_is_granted_but_the_probe_at_its_time(
    redis: Redis, gate: Gate
):
    submit_in_turn(redis, gate, *(export(name) for name in "abcdef"))
    gate.set_caps({EXPORT: 1})
    for name in "abc":
        (grant,) = gate.grant(EXPORT)
        assert grant.step_id == name
        fails(gate, start(gate, grant), delay=0.1)
    assert granted_ids(gate, EXPORT) == []
    assert health(redis).breaker is Breaker.OPEN
    assert granted_once_it_may(gate, EXPORT).step_id == PROBE_OF_PACS
    assert granted_ids(gate, EXPORT) == []
    assert health(redis).next_probe is None  # it is under way


def test_failures_that_are_not_in_a_row_shut_nothing(redis: Redis, gate: Gate):
    for number in range(6):
        run = start_next(gate, export(f"{number}"))
        if number % 3 == 2:
            done(gate, run)
        else:
            fails(gate, run)
    assert health(redis).breaker is Breaker.CLOSED


def start_next(gate: Gate, step: Step) -> Run:
    gate.submit(step)
    (grant,) = gate.grant(step.queue)
    return start(gate, grant)


def test_another_lane_goes_on(redis: Redis, gate: Gate):
    shut(redis, gate)
    gate.submit(export("x", ARCHIVE))
    assert granted_ids(gate, EXPORT) == ["x"]


def test_one_failure_may_be_enough(redis: Redis, gate: Gate):
    fails(gate, start_next(gate, export("a")), trouble=Trouble(1, DAY))
    gate.submit(export("b"))
    assert granted_ids(gate, EXPORT) == []


def test_a_probe_takes_a_place_of_the_queue_and_goes_before_what_waits(redis: Redis, gate: Gate):
    shut(redis, gate, delay=0)
    gate.set_caps({EXPORT: 1})
    gate.submit(export("x", ARCHIVE))
    grant = granted_once_it_may(gate, EXPORT)
    assert grant.step_id == PROBE_OF_PACS
    assert granted_ids(gate, EXPORT) == []
    fails(gate, start(gate, grant))
    assert granted_ids(gate, EXPORT) == ["x"]


def test_when_the_probe_is_done_all_go_at_once_though_their_time_has_not_come(
    redis: Redis, gate: Gate
):
    shut(redis, gate, delay=0)
    gate.submit(export("d"))
    probe = start(gate, granted_once_it_may(gate, EXPORT))
    assert redis.zcard(keys.DUE + PACS) == 2  # `c` has waited its time already
    done(gate, probe)
    assert health(redis).breaker is Breaker.TROUBLED
    (grant,) = gate.grant(EXPORT)  # one place, until that is a success
    assert grant.step_id == "a"
    done(gate, start(gate, grant))
    assert health(redis).breaker is Breaker.CLOSED
    assert health(redis).error == ""
    assert granted_ids(gate, EXPORT) == ["b", "c", "d"]


def test_a_failure_right_after_the_probe_shuts_the_lane_again(redis: Redis, gate: Gate):
    """As of one that answers a C-ECHO and takes nothing."""
    shut(redis, gate, delay=0)
    done(gate, start(gate, granted_once_it_may(gate, EXPORT)))
    (grant,) = gate.grant(EXPORT)
    fails(gate, start(gate, grant), delay=0.3)
    let_pass(redis, 0.05)
    assert granted_ids(gate, EXPORT) == []
    assert health(redis).breaker is Breaker.OPEN
    assert granted_once_it_may(gate, EXPORT).step_id == PROBE_OF_PACS


def test_a_probe_that_fails_is_tried_again_and_the_lane_stays_shut(redis: Redis, gate: Gate):
    shut(redis, gate, delay=0)
    since = health(redis).open_since
    for attempts in range(3):
        grant = granted_once_it_may(gate, EXPORT)
        assert (grant.step_id, grant.attempts) == (PROBE_OF_PACS, attempts)
        fails(gate, start(gate, grant), delay=0.01, trouble=Trouble(1, DAY))
    assert health(redis).open_since == since
    assert health(redis).error == "refused"


def test_a_send_that_began_before_opens_the_lane_by_its_success(redis: Redis, gate: Gate):
    submit_in_turn(redis, gate, *(export(name) for name in "abcdef"))
    gate.set_caps({EXPORT: 4})
    runs = [start(gate, grant) for grant in gate.grant(EXPORT)]
    for run in runs[:3]:
        fails(gate, run)
    assert granted_ids(gate, EXPORT) == []
    done(gate, runs[3])
    assert granted_ids(gate, EXPORT) == ["a", "b", "c", "e"]
    assert not redis.exists(keys.STEP + PROBE_OF_PACS)


def test_a_lost_probe_is_made_anew(redis: Redis, gate: Gate):
    shut(redis, gate, delay=60)
    for lose in (gate.forget, gate.withdraw):
        assert granted_ids(gate, EXPORT) == []
        assert redis.exists(keys.DUE + PROBE_OF_PACS)
        lose(PROBE_OF_PACS)
        assert not redis.exists(keys.DUE + PROBE_OF_PACS)
    gate.probe_now(PACS)
    assert granted_once_it_may(gate, EXPORT).step_id == PROBE_OF_PACS


def test_a_dead_workers_probe_is_granted_again(redis: Redis, gate: Gate, brief: Gate):
    shut(redis, gate, delay=0)
    wait = granted_once_it_may(brief, EXPORT)
    again = granted_once_it_may(gate, EXPORT)
    assert (wait.step_id, again.step_id) == (PROBE_OF_PACS, PROBE_OF_PACS)
    assert wait.token != again.token


def test_what_waits_too_long_for_a_lane_that_is_shut_goes_to_be_given_up(redis: Redis, gate: Gate):
    shut(redis, gate)
    stat = Step("stat", EXPORT, PACS, "job", Priority.STAT)
    submit_in_turn(redis, gate, export("old"), export("new"), stat)
    two_days_ago = int((server_time(redis) - 2 * DAY) * 1000)
    redis.zadd(keys.WAITING + PACS, {"old": Priority.NORMAL * 1e13 + two_days_ago})
    assert granted_ids(gate, EXPORT) == ["old"]
    assert granted_ids(gate, EXPORT) == []


def test_a_paused_lane_grants_nothing_until_it_is_resumed(redis: Redis, gate: Gate):
    submit_in_turn(redis, gate, export("a"), export("x", ARCHIVE))
    assert gate.set_paused(PACS, True, as_of=1000)
    assert health(redis).paused
    assert granted_ids(gate, EXPORT) == ["x"]
    assert gate.set_paused(PACS, False, as_of=1001)
    assert granted_ids(gate, EXPORT) == ["a"]


def test_an_older_word_on_a_pause_is_ignored(redis: Redis, gate: Gate):
    assert gate.set_paused(PACS, True, as_of=1001)
    assert not gate.set_paused(PACS, False, as_of=1000)
    assert gate.set_paused(PACS, True, as_of=1001)
    assert health(redis).paused


def test_a_paused_lane_is_not_probed(redis: Redis, gate: Gate):
    shut(redis, gate, delay=0)
    gate.set_paused(PACS, True, as_of=1)
    let_pass(redis, 0.01)
    assert [granted_ids(gate, EXPORT) for _ in range(2)] == [[], []]
    gate.set_paused(PACS, False, as_of=2)
    assert granted_once_it_may(gate, EXPORT).step_id == PROBE_OF_PACS


def test_a_probe_can_be_called_for(redis: Redis, gate: Gate):
    shut(redis, gate, delay=600)
    assert granted_ids(gate, EXPORT) == []
    assert health(redis).next_probe is not None
    gate.probe_now(PACS)
    assert granted_ids(gate, EXPORT) == [PROBE_OF_PACS]


def test_of_a_lane_that_is_open_no_probe_comes(redis: Redis, gate: Gate):
    gate.probe_now(PACS)
    gate.submit(export("a"))
    assert granted_ids(gate, EXPORT) == ["a"]


def test_an_emptied_server_knows_no_failures(redis: Redis, gate: Gate):
    shut(redis, gate)
    redis.flushall()
    gate.open()
    gate.announce_places("worker-1", {EXPORT: 1})
    gate.submit(export("a"))
    assert granted_ids(gate, EXPORT) == ["a"]


def test_when_a_step_of_a_lane_was_done_last(redis: Redis, gate: Gate):
    assert gate.last_done(PACS) is None
    before = server_time(redis)
    done(gate, start_next(gate, export("a")))
    last = gate.last_done(PACS)
    assert last is not None
    assert before - 0.001 <= last <= server_time(redis)


@pytest.mark.parametrize("end", [StepEnd.FAILED, StepEnd.WITHDRAWN])
def test_an_end_without_trouble_leaves_a_lane_as_it_was(redis: Redis, gate: Gate, end: StepEnd):
    fails(gate, start_next(gate, export("a")))
    gate.finish(start_next(gate, export("b")), end)
    assert health(redis).breaker is Breaker.TROUBLED
