"""Shorthand for what the tests of the gate do over and over."""

from redis import Redis

from shared.registry.gate import Gate, Leases
from shared.registry.step import Grant, Priority, Queue, Run, Step, StepEnd
from tests.support.waiting import wait_for

LONG = Leases(granted=60, running=60)
BRIEF = Leases(granted=0.2, running=0.2)
QUEUE = Queue.PIPELINE
LANE = "pipeline:brain"


def step(
    step_id: str, lane: str = LANE, priority: Priority = Priority.NORMAL, queue: Queue = QUEUE
) -> Step:
    return Step(step_id, queue, lane, f"job-of-{step_id}", priority)


def submit_in_turn(redis: Redis, gate: Gate, *steps: Step) -> None:
    """Each in a later millisecond of the server than the one before."""
    for each in steps:
        let_pass(redis, 0)
        gate.submit(each)


def started(gate: Gate, step_id: str, caller: str = "worker-1", queue: Queue = QUEUE) -> Run:
    """Submits a step if need be, has it granted as the only one, and starts it."""
    gate.submit(step(step_id, queue=queue))
    (grant,) = gate.grant(queue)
    assert grant.step_id == step_id
    return start(gate, grant, caller)


def start(gate: Gate, grant: Grant, caller: str = "worker-1") -> Run:
    run = gate.start(grant.step_id, grant.token, caller)
    assert run is not None
    return run


def granted_ids(gate: Gate, queue: Queue = QUEUE) -> list[str]:
    return [grant.step_id for grant in gate.grant(queue)]


def granted_once_it_may(gate: Gate, queue: Queue = QUEUE) -> Grant:
    """The next step that the gate admits, waited for."""
    (grant,) = wait_for(lambda: gate.grant(queue))
    return grant


def done(gate: Gate, run: Run) -> None:
    assert gate.finish(run, StepEnd.DONE)


def server_time(redis: Redis) -> float:
    seconds, microseconds = redis.time()
    return float(seconds) + float(microseconds) / 1e6


def let_pass(redis: Redis, seconds: float) -> None:
    """Waits until the server's clock, the one that leases go by, is so much further."""
    end = server_time(redis) + seconds + 0.002  # the server counts whole milliseconds
    wait_for(lambda: server_time(redis) > end)
