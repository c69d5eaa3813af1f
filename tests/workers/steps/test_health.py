"""Whether a process consumes, seen by what it does not answer; and its places, seen by messages."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from os import getpid
from pathlib import Path

import pytest
from celery.exceptions import Reject
from redis import Redis, RedisError

from deploy.embedded_server import EmbeddedServer
from shared.registry import keys
from shared.registry.connection import connect
from shared.registry.step import Queue, Step
from shared.registry.workers import workers
from tests.workers.site import Site
from workers.context import WorkerContext
from workers.steps.canary import Canary
from workers.steps.health import Health
from workers.steps.lease import Lease
from workers.steps.outcome import Done, Outcome
from workers.steps.running import Running
from workers.steps.step_runner import run_step

MANY = 12  # canaries that may go unanswered
STEP = Step("a-step", Queue.PIPELINE, "pipeline:keep", "a-job")


class Patient:
    """A worker whose health is looked at by hand."""

    def __init__(self, site: Site, redis: Redis) -> None:
        self.redis = redis
        self.canary = Canary("a-worker", site.url)
        context = replace(site.context, name="exports@ct/a-worker")
        self.ends = 0
        self.health = Health(redis, context, self.canary, {Queue.PIPELINE: 4}, self._end)

    def _end(self) -> None:
        self.ends += 1

    def consume(self) -> None:
        self.canary._arrive()

    def sent(self) -> int:
        return int(self.redis.llen(self.canary.queue))


@pytest.fixture
def patient(site: Site) -> Patient:
    return Patient(site, site.redis)


def tick(patient: Patient, times: int) -> None:
    for _ in range(times):
        patient.health.tick()


def test_one_that_consumes_goes_on(patient: Patient) -> None:
    for _ in range(5):
        tick(patient, MANY - 1)
        patient.consume()
    assert patient.ends == 0


def test_one_that_does_not_consume_is_ended_once(patient: Patient) -> None:
    tick(patient, MANY)
    assert patient.ends == 0
    (state,) = workers(patient.redis)
    assert state.last_canary is None
    tick(patient, 1)
    assert patient.ends == 1
    assert workers(patient.redis) == []
    tick(patient, 2 * MANY)
    assert patient.ends == 1


def test_one_that_stops_sends_itself_no_canary_and_is_not_ended(patient: Patient) -> None:
    patient.health.drain()
    tick(patient, 3 * MANY)
    assert (patient.ends, patient.sent()) == (0, 0)
    assert workers(patient.redis)[0].draining


def test_it_says_how_it_stands(site: Site, patient: Patient) -> None:
    tick(patient, 1)
    patient.consume()
    with site.context.running.place_for("a-step"):
        tick(patient, 1)
    (state,) = workers(patient.redis)
    assert (state.id, state.name, state.host, state.pid) == ("a-worker", "exports", "ct", getpid())
    assert (state.places, state.running) == ({"pipeline": 4}, ("a-step",))
    assert state.revision == site.context.settings.revision
    assert state.last_canary is not None
    assert state.since <= state.last_canary <= datetime.now(UTC)
    assert 10 < patient.redis.ttl(keys.WORKER + "a-worker") <= 15


def test_one_that_leaves_is_gone_with_what_it_did_not_consume(patient: Patient) -> None:
    tick(patient, 3)
    assert patient.sent() == 3
    patient.health.leave()
    assert patient.redis.keys(f"{keys.PREFIX}worker*") == []
    assert patient.redis.keys(f"{keys.PREFIX}canary*") == []


def test_one_that_died_is_forgotten_and_the_next_that_speaks_clears_up(patient: Patient) -> None:
    patient.redis.lpush(keys.CANARIES + "dead", "a canary")
    patient.redis.zadd(keys.WORKERS, {"dead": 1})
    assert workers(patient.redis) == []
    tick(patient, 1)
    assert patient.redis.zrange(keys.WORKERS, 0, -1) == ["a-worker"]
    assert patient.redis.keys(keys.CANARIES + "*") == [patient.canary.queue]


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "redis") as server:
        yield server


def test_with_redis_away_nothing_is_held_against_it(
    tmp_path: Path, own_server: EmbeddedServer
) -> None:
    site = Site(tmp_path, own_server.url)
    patient = Patient(site, connect(own_server.url))
    tick(patient, MANY)
    own_server.stop()
    for _ in range(2):
        with pytest.raises(RedisError):
            patient.health.tick()
    own_server.start()
    tick(patient, MANY)
    assert patient.ends == 0
    tick(patient, 1)
    assert patient.ends == 1
    patient.redis.close()
    site.close()


def test_a_message_that_it_has_no_place_for_goes_back_and_its_step_stays_granted(
    site: Site,
) -> None:
    context = replace(site.context, running=Running(1))
    site.gate.announce_places("tests", {Queue.PIPELINE: 1})
    site.gate.submit(STEP)
    (grant,) = site.gate.grant(Queue.PIPELINE)

    def body(context: WorkerContext, lease: Lease) -> Outcome:
        assert context.running.steps == (STEP.id,)
        return Done()

    with context.running.place_for("another"), pytest.raises(Reject) as rejected:
        run_step(context, body, STEP.id, grant.token)
    assert rejected.value.requeue
    assert site.steps() == {STEP.id: "granted"}
    run_step(context, body, STEP.id, grant.token)
    assert site.steps() == {STEP.id: "done"}
    assert context.running.steps == ()
