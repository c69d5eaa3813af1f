"""A broker of their own for workers elsewhere: here another database of the tests' server."""

import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest

from deploy.embedded_server import EmbeddedServer
from deploy.system import free_port
from shared.registry.connection import connect
from shared.settings.pipeline_kinds import CeleryPipeline
from tests.workers.pipelines.called import first_call
from tests.workers.site import Given, Site
from workers.attempts.callback import finish
from workers.attempts.handover import Told
from workers.pipelines.celery_task import CeleryTask
from workers.steps.outcome import HandedOver, TryAgain

MakeJob = Callable[..., tuple[Site, str]]


@pytest.fixture
def broker(redis_server: EmbeddedServer) -> str:
    """Nothing is in it."""
    url = f"{redis_server.url.rstrip('/').removesuffix('/0')}/1"
    with connect(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def make_job(make_site: Callable[..., Site]) -> MakeJob:
    def make(broker: str, **options: Any) -> tuple[Site, str]:
        section = {"kind": "celery", "task": "engine.work", "queue": "gpu", "broker": broker}
        site = make_site(pipelines={"keep": section | options})
        return site, site.dispatched(Given("1.2.3"))

    return make


def sent(broker: str) -> list[dict[str, Any]]:
    """The messages that wait in the queue, the oldest first."""
    with connect(broker) as client:
        return [json.loads(text) for text in reversed(client.lrange("gpu", 0, -1))]


def arguments(message: dict[str, Any]) -> dict[str, Any]:
    _, kwargs, _ = json.loads(b64decode(message["body"]))
    return dict(kwargs)


def test_a_task_is_sent_with_ids_and_paths_and_nothing_of_the_patient(
    make_job: MakeJob, broker: str
) -> None:
    site, job_id = make_job(broker)
    assert isinstance(site.run_pipeline(job_id), HandedOver)
    (message,) = sent(broker)
    assert message["headers"]["task"] == "engine.work"
    assert message["headers"]["id"] == f"{job_id}.1"
    folder = site.folder(job_id)
    given = arguments(message)
    token = given.pop("token")
    assert given == first_call(folder)
    assert token not in message["headers"]["kwargsrepr"]
    finish(site.context, job_id, token, Told.SUCCEEDED)
    assert folder.read().result is not None


@pytest.mark.parametrize(
    ("scheme", "what"), [("redis", "ConnectionError"), ("amqp", "ConnectionRefusedError")]
)
def test_while_its_broker_is_away_it_is_called_again(
    make_job: MakeJob, broker: str, scheme: str, what: str
) -> None:
    away = f"{scheme}://user:s3cret@127.0.0.1:{free_port('127.0.0.1')}/0"
    site, job_id = make_job(away)
    outcome = site.run_pipeline(job_id)
    assert isinstance(outcome, TryAgain)
    assert outcome.reason == f"the broker does not answer ({what})"
    assert not outcome.holds_on
    site.configure(
        pipelines={
            "keep": {"kind": "celery", "task": "engine.work", "queue": "gpu", "broker": broker}
        }
    )
    site.context.live.reread()
    assert isinstance(site.run_pipeline(job_id), HandedOver)
    assert [message["headers"]["id"] for message in sent(broker)] == [f"{job_id}.1"]
    assert site.folder(job_id).attempts() == 1


def test_the_check_asks_the_broker_and_shows_no_password(broker: str) -> None:
    def section(url: str) -> CeleryPipeline:
        values = {"kind": "celery", "task": "t", "queue": "q", "broker": url}
        return CeleryPipeline.model_validate(values)

    assert CeleryTask().check(section(broker)) == []
    away = f"redis://:s3cret@127.0.0.1:{free_port('127.0.0.1')}/0"
    (fault,) = CeleryTask().check(section(away))
    assert "does not answer" in fault
    assert "s3cret" not in fault
