"""Telling the workers: the gate, the broker, and what happens with either away."""

import base64
import json
import time
from typing import Any

import pytest
from redis import Redis, RedisError
from structlog.testing import capture_logs

from deploy.embedded_server import EmbeddedServer
from deploy.system import free_port
from shared.announce import AnnounceError, connect, dispatch_step
from shared.broker import celery_app, task_name
from shared.registry.connection import connect as connect_redis
from shared.registry.gate import Gate
from shared.registry.step import Priority, Queue, Step, StepEnd
from shared.settings import Settings
from shared.step_line import StepLine
from tests.shared.registry.steps import LONG
from tests.support.waiting import wait_for

DELIVERY = "20261122T104907-3f9c2a41d07e"


@pytest.fixture
def gate(redis: Redis) -> Gate:
    gate = Gate(redis, LONG)
    gate.open()
    gate.announce_places("worker-1", dict.fromkeys(Queue, 2))
    return gate


@pytest.fixture
def line(gate: Gate, redis_server: EmbeddedServer) -> StepLine:
    return StepLine(gate, celery_app(redis_server.url))


def messages(redis: Redis, queue: Queue) -> list[dict[str, Any]]:
    """What waits on a Celery queue, oldest first."""
    return [json.loads(text) for text in reversed(redis.lrange(queue, 0, -1))]


def nowhere() -> str:
    return f"redis://127.0.0.1:{free_port('127.0.0.1')}/0"


def test_a_submitted_step_that_may_run_is_published_with_nothing_but_its_id_and_token(
    redis: Redis, gate: Gate, line: StepLine
):
    line.submit(dispatch_step(DELIVERY, "stat"))
    (message,) = messages(redis, Queue.DISPATCH)
    headers = message["headers"]
    assert headers["task"] == task_name(Queue.DISPATCH) == "penstock.dispatch"
    assert headers["id"] == DELIVERY
    assert headers["retries"] == 0
    arguments, keywords, _ = json.loads(base64.b64decode(message["body"]))
    assert (arguments, keywords) == ([DELIVERY, _token(message)], {})
    run = gate.start(*arguments, "worker-1")
    assert run is not None
    assert run.step == Step(DELIVERY, Queue.DISPATCH, "dispatch", "", Priority.STAT)


def test_a_step_that_must_wait_is_not_published_until_a_place_is_free(
    redis: Redis, gate: Gate, line: StepLine
):
    for number in range(3):
        line.submit(Step(f"{number}", Queue.EXPORT, "export:PACS"))
    published = messages(redis, Queue.EXPORT)
    assert [message["headers"]["id"] for message in published] == ["0", "1"]
    run = gate.start("0", _token(published[0]), "worker-1")
    assert run is not None
    gate.finish(run, StepEnd.DONE)
    line.call_up(Queue.EXPORT)
    assert [message["headers"]["id"] for message in messages(redis, Queue.EXPORT)][2:] == ["2"]


def test_a_step_tried_again_is_the_same_task_with_its_retries(
    redis: Redis, gate: Gate, line: StepLine
):
    line.submit(Step("a", Queue.PIPELINE, "pipeline:brain"))
    run = gate.start("a", _token(messages(redis, Queue.PIPELINE)[0]), "worker-1")
    assert run is not None
    gate.finish(run, StepEnd.RETRYING)

    def published_again() -> list[dict[str, Any]]:
        line.call_up(Queue.PIPELINE)
        return messages(redis, Queue.PIPELINE)[1:]

    (again,) = wait_for(published_again)
    assert (again["headers"]["id"], again["headers"]["retries"]) == ("a", 1)
    assert _token(again) != run.token


def _token(message: dict[str, Any]) -> str:
    return str(json.loads(base64.b64decode(message["body"]))[0][1])


def test_a_broker_that_is_away_costs_only_time(redis: Redis, gate: Gate):
    line = StepLine(gate, celery_app(nowhere()))
    with capture_logs() as logged:
        line.submit(dispatch_step(DELIVERY, "normal"))
    assert [entry["event"] for entry in logged] == ["steps not called up"]
    assert gate.submit(dispatch_step(DELIVERY, "normal")) == "granted"


def test_a_gate_that_is_away_is_told_to_who_submits_and_logged_for_who_calls_up():
    url = nowhere()
    with connect_redis(url) as redis:
        line = StepLine(Gate(redis, LONG), celery_app(url))
        with pytest.raises(RedisError):
            line.submit(dispatch_step(DELIVERY, "normal"))
        with capture_logs() as logged:
            line.call_up(Queue.DISPATCH)
        assert [entry["event"] for entry in logged] == ["steps not called up"]


def test_announcing_a_delivery_calls_up_its_dispatch_however_often(
    redis: Redis, gate: Gate, redis_server: EmbeddedServer
):
    announce = connect(redis_server.url, Settings())
    for _ in range(3):
        announce(DELIVERY, "low")
    (message,) = messages(redis, Queue.DISPATCH)
    assert message["headers"]["id"] == DELIVERY


def test_announcing_without_redis_fails_soon_and_says_so():
    announce = connect(nowhere(), Settings())
    begun = time.monotonic()
    with pytest.raises(AnnounceError, match="ConnectionError"):
        announce(DELIVERY, "normal")
    assert time.monotonic() - begun < 5
