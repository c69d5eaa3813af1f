"""What engines tell by a Celery task: real messages of a real Celery, in a real queue."""

import errno
from typing import Any

import pytest
from celery import Celery
from structlog.testing import capture_logs

from shared.job_state import JobState
from tests.support.engine import Engine
from tests.workers.faults import kills
from tests.workers.site import MakeSite, Site
from workers.attempts.finish_messages import FinishMessages
from workers.attempts.handover import Answer, EngineAttempt


@pytest.fixture
def engine_site(make_engine_site: MakeSite) -> Site:
    return make_engine_site(max_parallel=2, export_to=[])


def tell(site: Site, *args: Any, protocol: int = 2, **options: Any) -> None:
    with Celery(broker=site.url, set_as_current=False) as elsewhere:
        elsewhere.conf.task_protocol = protocol
        elsewhere.send_task("penstock.finish", args, queue="finish", **options)


def take(site: Site) -> None:
    FinishMessages(site.context, site.redis).tick()


def left(site: Site) -> int:
    return sum(site.redis.llen(key) for key in site.redis.scan_iter("finish*"))


def state(site: Site, job_id: str) -> JobState:
    return site.folder(job_id).read().state


@pytest.mark.parametrize(
    "form",
    [{}, {"protocol": 1}, {"priority": 9}, {"compression": "zlib"}],
    ids=["", "protocol 1", "priority 9", "compressed"],
)
def test_a_message_is_taken_in_each_form_that_celery_gives_it(
    engine_site: Site, engine: Engine, form: dict[str, Any]
) -> None:
    site = engine_site
    named, positional = site.handed_over(), site.handed_over()
    tokens = [request.json["token"] for request in engine.requests]
    tell(site, kwargs={"job": named, "token": tokens[0], "succeeded": True}, **form)
    tell(site, positional, tokens[1], False, "no nodule", **form)
    take(site)
    assert (state(site, named), state(site, positional)) == (JobState.DONE, JobState.FAILED)
    assert left(site) == 0


def test_what_is_no_such_message_is_dropped_and_the_next_is_taken(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    job_id = site.handed_over()
    token = engine.requests[0].json["token"]
    site.redis.lpush("finish", "DOE^JOHN", "[]", '{"body": 1}')
    tell(site, job_id, token)  # an argument lacks
    tell(site, job_id, "wrong", True)
    with Celery(broker=site.url, set_as_current=False) as elsewhere:
        elsewhere.send_task("something.else", (job_id, token, True), queue="finish")
        elsewhere.send_task(
            "penstock.finish", (job_id, token, True), queue="finish", serializer="pickle"
        )
    tell(site, job_id, token, True)
    with capture_logs() as lines:
        take(site)
    assert state(site, job_id) is JobState.DONE
    assert left(site) == 0
    assert [line["event"] for line in lines].count("a message of an engine is not understood") == 6
    assert "DOE" not in str(lines)
    assert token not in str(lines)


def test_killed_after_any_write_it_is_taken_the_next_time(
    engine_site: Site, engine: Engine
) -> None:
    site = engine_site
    for kill in kills(least=6):
        site.empty()
        engine.requests.clear()
        job_id = site.handed_over()
        tell(site, job_id, engine.requests[0].json["token"], True)
        with kill:
            take(site)
        take(site)
        assert state(site, job_id) is JobState.DONE
        assert left(site) == 0


def test_while_the_storage_fails_it_stays_where_it_is(
    engine_site: Site, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = engine_site
    job_id, other = site.handed_over(), site.handed_over()
    for number, each in enumerate((job_id, other)):
        tell(site, each, engine.requests[number].json["token"], True)
    usual = EngineAttempt.tell

    def full(called: EngineAttempt, answer: Answer) -> Answer:
        if called.folder.id == job_id:
            raise OSError(errno.ENOSPC, "No space left on device")
        return usual(called, answer)

    with monkeypatch.context() as broken:
        broken.setattr(EngineAttempt, "tell", full)
        with pytest.raises(OSError, match="No space"):
            take(site)
    assert left(site) == 1
    assert state(site, other) is JobState.DONE  # whose folder is well
    take(site)
    assert state(site, job_id) is JobState.DONE
