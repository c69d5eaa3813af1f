"""A worker that lives and does not consume is no worker: it ends, to be started anew."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from celery import Celery

from shared.broker import celery_app
from shared.job_state import JobState
from shared.registry import keys
from shared.registry.workers import workers
from shared.worker_state import WorkerState
from tests.support.gateway import Gateway
from tests.support.held_pipeline import HeldPipeline
from tests.support.samples import sample_file
from tests.support.waiting import wait_for
from workers.steps.health import EXIT_CODE

TIMEOUT = 5.0  # seconds
BRIEF = {"canary_timeout": f"{TIMEOUT}s", "drain_timeout": "1s"}


def consuming(gateway: Gateway, name: str) -> WorkerState:
    """The worker of this name, once it has consumed."""

    def found() -> WorkerState | None:
        states = [state for state in workers(gateway.redis) if state.name == name]
        return next((state for state in states if state.last_canary is not None), None)

    state = wait_for(found)
    assert state is not None
    return state


def last_canary(gateway: Gateway, name: str) -> datetime:
    last = consuming(gateway, name).last_canary
    assert last is not None
    return last


def stop_consuming(url: str, state: WorkerState, *queues: str) -> None:
    """As Celery itself does after some faults: the process lives and takes no message any more."""
    app: Celery = celery_app(url)
    for queue in (*queues, keys.CANARIES + state.id):
        app.control.cancel_consumer(queue, destination=[f"{state.name}@{state.host}"])


def test_a_worker_says_how_it_stands(tmp_path: Path) -> None:
    pipeline = HeldPipeline(tmp_path)
    with Gateway(
        tmp_path,
        ae_titles=[{"title": "SLOW", "pipeline": "held"}],
        pipelines={"held": pipeline.section(export_to=[])},
        workers=BRIEF,
    ) as gateway:
        exports, pipelines = (consuming(gateway, name) for name in ("exports", "pipelines"))
        assert exports.places == {"dispatch": 2, "export": 2}
        assert pipelines.places == {"pipeline": 4}
        assert pipelines.pid == gateway.process("pipelines").pid
        gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
        wait_for(lambda: pipeline.log == ["start"])
        (job,) = gateway.jobs()
        wait_for(lambda: consuming(gateway, "pipelines").running == (job.id,))
        pipeline.let_go()
        gateway.wait_for_job()
        wait_for(lambda: consuming(gateway, "pipelines").running == ())
        gateway.process("exports").terminate()
        wait_for(lambda: [state.name for state in workers(gateway.redis)] == ["pipelines"])
        assert gateway.process("exports").wait(20) == 0
        gateway.kill("pipelines")
        wait_for(lambda: workers(gateway.redis) == [], 30)


def test_a_worker_that_stops_consuming_ends_with_a_code_of_its_own(tmp_path: Path) -> None:
    with Gateway(tmp_path, ("receiver", "exports"), workers=BRIEF) as gateway:
        state = consuming(gateway, "exports")
        stop_consuming(gateway.server.url, state, "dispatch", "export")
        sent = gateway.storescu(sample_file("CT_small.dcm"), called="PENSTOCK")
        assert sent.returncode == 0
        assert gateway.process("exports").wait(30) == EXIT_CODE
        assert "nothing is consumed though Redis answers" in gateway.log("exports")
        gateway.start("exports")
        gateway.start("pipelines")
        gateway.wait_for_job()


def test_its_running_steps_are_handed_back_uncounted(tmp_path: Path) -> None:
    pipeline = HeldPipeline(tmp_path)
    with Gateway(
        tmp_path,
        ae_titles=[{"title": "SLOW", "pipeline": "held"}],
        pipelines={"held": pipeline.section(export_to=[])},
        workers=BRIEF,
    ) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
        wait_for(lambda: pipeline.log == ["start"])
        stop_consuming(gateway.server.url, consuming(gateway, "pipelines"), "pipeline")
        assert gateway.process("pipelines").wait(30) == EXIT_CODE
        pipeline.let_go()
        gateway.start("pipelines")
        job = gateway.wait_for_job()
        assert pipeline.log == ["start", "start", "end"]
        assert job.attempt == 1


def has_all_places_taken_for_long(gateway: Gateway, name: str) -> None:
    """And consumes, for longer than a worker may be silent."""
    wait_for(lambda: len(consuming(gateway, name).running) == 2)
    first = last_canary(gateway, name)
    enough = timedelta(seconds=TIMEOUT + 1)
    wait_for(lambda: last_canary(gateway, name) - first > enough)


def test_long_steps_in_every_place_do_not_keep_the_canary_waiting(tmp_path: Path) -> None:
    """Nor does one worker take what another has the places for."""
    pipeline = HeldPipeline(tmp_path)
    with Gateway(
        tmp_path,
        ("receiver", "exports", "pipelines", "pipelines-2"),
        ae_titles=[{"title": "SLOW", "pipeline": "held"}],
        pipelines={"held": pipeline.section(export_to=[])},
        workers=BRIEF | {"pipeline_threads": 2},
    ) as gateway:
        for name in ("pipelines", "pipelines-2"):
            consuming(gateway, name)
        for _ in range(6):
            gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
        for name in ("pipelines", "pipelines-2"):
            has_all_places_taken_for_long(gateway, name)
        assert pipeline.log == ["start"] * 4
        pipeline.let_go()
        jobs = gateway.wait_for_jobs(6, JobState.DONE)
        assert {job.attempt for job in jobs} == {1}


def test_the_canary_is_not_among_the_tasks_that_flower_hears_of(tmp_path: Path) -> None:
    with Gateway(tmp_path, ("receiver",)) as gateway, heard_events(gateway.server.url) as heard:
        gateway.start("exports")
        last = consuming(gateway, "exports").last_canary
        wait_for(lambda: consuming(gateway, "exports").last_canary != last)
        gateway.storescu(sample_file("CT_small.dcm"), called="PENSTOCK")
        wait_for(lambda: "task-succeeded" in [event["type"] for event in heard])
        names = {event["name"] for event in heard if "name" in event}
        assert names == {"penstock.dispatch"}


@contextmanager
def heard_events(url: str) -> Iterator[list[dict[str, Any]]]:
    """What Flower hears, as it comes."""
    app: Celery = celery_app(url)
    events: list[dict[str, Any]] = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": events.append})
        listening = threading.Thread(target=receiver.capture, daemon=True)
        listening.start()
        yield events
        receiver.should_stop = True
        listening.join(10)
