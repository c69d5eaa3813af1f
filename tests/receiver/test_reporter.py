"""What a receiver tells Redis of itself, and that nobody waits for it."""

import socket
import time
from pathlib import Path

import pytest
from redis import Redis

from deploy.embedded_server import EmbeddedServer
from receiver.reporter import Reporter
from shared.registry.associations import list_associations
from shared.registry.receivers import receivers
from shared.settings import Settings
from tests.support.associations import ended_association, receiver_state
from tests.support.receivers import local_receiver, settings_for
from tests.support.samples import data_set
from tests.support.scu import ECHO_CONTEXT
from tests.support.waiting import wait_for


@pytest.fixture
def _beats_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.registry.receivers.PERIOD", 0.1)


def test_who_sent_what_and_who_was_refused_is_remembered(
    tmp_path: Path, redis: Redis, redis_server: EmbeddedServer
) -> None:
    with local_receiver(tmp_path, redis={"url": redis_server.url}) as receiver:
        with receiver.associated(calling="CT02") as scu:
            scu.store("1.2.3", data_set(1000))
            scu.release()
        receiver.scu().rejection(called="WHO")
        receiver.associated(contexts=[ECHO_CONTEXT]).abort()
        wait_for(lambda: len(list_associations(redis)) == 3)
    (sent,) = list_associations(redis, end="released")
    delivery = receiver.delivery()
    assert (sent.id, sent.receiver) == (delivery.id, delivery.receiver)
    assert (sent.peer, sent.calling, sent.called) == ("127.0.0.1", "CT02", "BRAIN")
    assert (sent.contexts_offered, sent.contexts_accepted) == (2, 2)
    assert (sent.instances, sent.bytes) == (1, delivery.instances[0].size)
    (refused,) = list_associations(redis, end="refused")
    assert (refused.called, refused.cause) == ("WHO", "1,1,7")
    assert "called AE title not recognized" in refused.reason
    (aborted,) = list_associations(redis, end="aborted")
    assert (aborted.cause, aborted.contexts_offered) == ("peer", 1)
    assert "service user" in aborted.reason


@pytest.mark.usefixtures("_beats_often")
def test_a_receiver_says_that_it_lives_and_what_it_does_until_it_stops(
    tmp_path: Path, redis: Redis, redis_server: EmbeddedServer
) -> None:
    with local_receiver(tmp_path, redis={"url": redis_server.url}) as receiver:
        (state,) = wait_for(lambda: receivers(redis))
        assert (state.id, state.port) == (receiver.services.incoming.receiver, receiver.port)
        assert state.revision == receiver.services.settings.revision
        with receiver.associated(), receiver.scu():
            wait_for(lambda: receivers(redis)[0].associations == 1)
            wait_for(lambda: receivers(redis)[0].half_open == 1)
        receiver.server.drain()
        wait_for(lambda: receivers(redis)[0].draining)
    assert receivers(redis) == []


def test_several_receivers_know_nothing_of_each_other(
    tmp_path: Path, redis: Redis, redis_server: EmbeddedServer
) -> None:
    url = {"url": redis_server.url}
    with local_receiver(tmp_path, redis=url) as one, local_receiver(tmp_path, redis=url) as two:
        wait_for(lambda: len(receivers(redis)) == 2)
        assert {state.port for state in receivers(redis)} == {one.port, two.port}


def test_with_redis_silent_no_association_is_delayed_or_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("outbox", "reporter"):  # what they have cannot be told, however long they wait
        monkeypatch.setattr(f"receiver.{module}._LAST_WAIT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, answers nothing
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        with local_receiver(tmp_path, redis={"url": url}) as receiver:
            began = time.monotonic()
            for number in range(50):
                with receiver.associated() as scu:
                    scu.store(f"1.2.{number}", data_set(100))
                    scu.release()
            assert time.monotonic() - began < 10, "the timeouts of Redis are seconds each"
    assert len(receiver.committed()) == 50


@pytest.mark.usefixtures("_beats_often")
def test_what_ended_while_redis_was_away_is_told_when_it_is_back(
    tmp_path: Path,
) -> None:
    server = EmbeddedServer(tmp_path / "redis")
    settings = Settings(**settings_for(tmp_path, redis={"url": server.url}))
    reporter = Reporter(settings)
    reporter.start(receiver_state)
    for number in range(150):
        reporter.put(ended_association(number))
    with server:
        client = Redis.from_url(server.url, decode_responses=True)
        wait_for(lambda: len(list_associations(client, limit=200)) == 150)
        reporter.close()
        client.close()
    assert reporter.dropped == 0


def test_more_than_it_can_keep_is_dropped_and_counted(tmp_path: Path) -> None:
    reporter = Reporter(Settings(**settings_for(tmp_path, redis={"url": "redis://127.0.0.1:1"})))
    for number in range(1010):
        reporter.put(ended_association(number))
    assert reporter.dropped == 10
    reporter.close()
