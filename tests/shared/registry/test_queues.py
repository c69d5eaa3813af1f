from dataclasses import replace
from datetime import UTC, datetime

from redis import Redis

from shared.registry.gate import Gate, Leases
from shared.registry.queues import QueueView, queues
from shared.registry.step import Priority, Queue, Step, StepEnd
from shared.registry.views import count_jobs
from tests.support.waiting import wait_for


def test_an_empty_server_has_empty_queues_and_no_jobs(redis: Redis) -> None:
    assert queues(redis) == [QueueView(queue, 0, 0, 0, 0, 0) for queue in Queue]
    assert not any(count_jobs(redis).values())


def test_what_waits_runs_and_is_to_be_tried_again_is_counted(redis: Redis) -> None:
    gate = Gate(redis, Leases())
    gate.announce_places("one", {Queue.EXPORT: 1, Queue.PIPELINE: 4})
    gate.announce_places("two", {Queue.EXPORT: 1})
    for number in range(4):
        gate.submit(Step(f"step-{number}", Queue.EXPORT, f"export:{number % 2}"))
    gate.grant(Queue.EXPORT)  # of a new server, which waits
    gate.open()
    granted, _ = gate.grant(Queue.EXPORT)
    run = gate.start(granted.step_id, granted.token, "caller")
    assert run is not None
    gate.finish(run, StepEnd.RETRYING, delay=60)
    by_queue = {view.queue: replace(view, oldest=None) for view in queues(redis)}
    assert by_queue[Queue.EXPORT] == QueueView(Queue.EXPORT, 2, 1, 1, workers=2, places=2)
    assert by_queue[Queue.PIPELINE] == QueueView(Queue.PIPELINE, 0, 0, 0, workers=1, places=4)


def test_the_oldest_that_waits_is_known_whatever_goes_before_it(redis: Redis) -> None:
    gate = Gate(redis, Leases())
    before = datetime.now(UTC)
    gate.submit(Step("old", Queue.EXPORT, "export:one", priority=Priority.LOW))
    wait_for(lambda: datetime.now(UTC).microsecond // 1000 != before.microsecond // 1000)
    between = datetime.now(UTC)
    wait_for(lambda: datetime.now(UTC).microsecond // 1000 != between.microsecond // 1000)
    gate.submit(Step("new", Queue.EXPORT, "export:one", priority=Priority.STAT))
    gate.submit(Step("other", Queue.EXPORT, "export:two"))
    by_queue = {view.queue: view for view in queues(redis)}
    oldest = by_queue[Queue.EXPORT].oldest
    assert oldest is not None
    assert oldest <= between
    assert by_queue[Queue.PIPELINE].oldest is None
