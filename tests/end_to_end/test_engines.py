"""Engines elsewhere and the whole gateway: real workers, real HTTP, a real Celery worker."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from deploy.embedded_server import EmbeddedServer
from shared.broker import celery_app
from shared.job_state import JobState
from shared.registry.queues import queues
from shared.registry.step import Queue
from tests.support.destinations import Archive
from tests.support.engine import Engine, Reply, Request
from tests.support.gateway import REPOSITORY, Gateway
from tests.support.rabbitmq import rabbitmq
from tests.support.samples import sample_file
from tests.support.waiting import wait_for
from workers.attempts.handover import Told

CT, MR = "CT_small.dcm", "MR_small.dcm"
PATIENCE = 60.0  # seconds: each word of an engine is a process to start


def _settings(**pipeline: Any) -> dict[str, Any]:
    return {
        "ae_titles": [{"title": "AI", "pipeline": "ai"}],
        "pipelines": {"ai": {"deadline": "1h", "max_parallel": 1} | pipeline},
        # A lease that a busy machine cannot keep is taken over, and its engine called again.
        "workers": {"running_lease": "5s"},
    }


def _webhook(engine: Engine, **options: Any) -> dict[str, Any]:
    return _settings(kind="webhook", url=engine.url, mode="callback", **options)


def _send(gateway: Gateway, *names: str) -> None:
    for name in names:
        gateway.storescu(sample_file(name), called="AI")


def _elsewhere(gateway: Gateway) -> int:
    """Jobs that engines have, as the gate knows it."""
    return {view.queue: view.elsewhere for view in queues(gateway.redis)}[Queue.PIPELINE]


def _finish(gateway: Gateway, request: Request, *words: str) -> "subprocess.CompletedProcess[str]":
    token = request.json["token"]
    return gateway.penstock("jobs", "finish", request.json["job"], "--token", token, *words)


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(Reply(202)) as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path, engine: Engine) -> Iterator[Gateway]:
    """One whose jobs that engine works on."""
    with Gateway(tmp_path, **_webhook(engine)) as running:
        yield running


def test_engines_work_one_at_a_time_and_what_they_made_is_exported(
    tmp_path: Path, engine: Engine
) -> None:
    with Archive() as archive:
        settings = _webhook(engine, export_to=["ARCHIVE"])
        settings["destinations"] = {"ARCHIVE": archive.settings()}
        with Gateway(tmp_path, **settings) as gateway:
            _send(gateway, CT, MR)
            wait_for(lambda: len(gateway.jobs()) == 2 and _elsewhere(gateway) == 1, PATIENCE)
            (first,) = engine.requests
            (source,) = Path(first.json["input"]).iterdir()
            (Path(first.json["output"]) / "result.dcm").write_bytes(source.read_bytes())
            run = _finish(gateway, first, "--succeeded", "--message", "well")
            assert (run.returncode, run.stdout) == (0, f"{first.json['job']}: succeeded\n")
            wait_for(lambda: len(engine.requests) == 2, PATIENCE)
            second = engine.requests[1]
            assert first.json["job"] != second.json["job"]
            assert _finish(gateway, second, "--succeeded").returncode == 0
            gateway.wait_for_jobs(2, JobState.DONE, PATIENCE)
        assert len(archive.received) == 1


def test_past_the_deadline_the_next_attempt_is_called_and_a_late_word_is_told_so(
    tmp_path: Path, engine: Engine
) -> None:
    with Gateway(tmp_path, **_webhook(engine, deadline="1s")) as gateway:
        runs: list[subprocess.CompletedProcess[str]] = []

        def tell(request: Request) -> None:
            """While attempt 2 is being called: it cannot be over before."""
            runs.append(_finish(gateway, engine.requests[0], "--succeeded"))
            runs.append(_finish(gateway, request, "--succeeded"))

        engine.replies = [Reply(202), Reply(202, meanwhile=tell)]
        _send(gateway, CT)
        assert gateway.wait_for_job(timeout=PATIENCE).attempt == 2
        late, in_time = runs
        assert late.returncode == 1
        assert "attempt 1 is over: given up, because its deadline passed" in late.stderr
        assert in_time.returncode == 0
        assert [key.rpartition(".")[2] for key in engine.keys] == ["1", "2"]


def test_a_worker_killed_before_it_noted_the_answer_calls_again_by_the_same_key(
    gateway: Gateway, engine: Engine
) -> None:
    killed = threading.Event()

    def kill(request: Request) -> None:
        gateway.kill("pipelines")
        killed.set()

    engine.replies = [Reply(202, meanwhile=kill), Reply(202)]
    _send(gateway, CT)
    assert killed.wait(PATIENCE)
    gateway.start("pipelines")
    wait_for(lambda: len(engine.requests) == 2, PATIENCE)
    wait_for(lambda: gateway.jobs(JobState.RUNNING), PATIENCE)
    first, second = engine.requests
    assert first.body == second.body
    assert len(set(engine.keys)) == 1
    assert _finish(gateway, first, "--succeeded").returncode == 0
    assert gateway.wait_for_job(timeout=PATIENCE).attempt == 1
    assert _finish(gateway, second, "--succeeded").returncode == 0


def test_redis_emptied_and_all_workers_killed_nothing_is_called_twice_and_the_cap_holds(
    gateway: Gateway, engine: Engine
) -> None:
    _send(gateway, CT, MR)
    wait_for(lambda: len(gateway.jobs()) == 2 and _elsewhere(gateway) == 1, PATIENCE)
    for part in ("pipelines", "exports"):
        gateway.kill(part)
    gateway.redis.flushall()
    for part in ("pipelines", "exports"):
        gateway.start(part)
    wait_for(lambda: gateway.jobs(JobState.RUNNING), PATIENCE)
    assert _elsewhere(gateway) == 1
    assert len(gateway.jobs(JobState.QUEUED)) == 1
    assert len(engine.requests) == 1
    gateway.redis.flushall()
    assert _finish(gateway, engine.requests[0], "--succeeded").returncode == 0
    wait_for(lambda: len(engine.requests) == 2, PATIENCE)
    assert _finish(gateway, engine.requests[1], "--succeeded").returncode == 0
    gateway.wait_for_jobs(2, JobState.DONE, PATIENCE)
    assert len(set(engine.keys)) == 2


EXAMPLE = (REPOSITORY / "docs" / "examples" / "celery_engine.py").read_text()
# A task that works for ever, and says as which process.
ENDLESS = """
import os, pathlib, time
from celery import Celery

app = Celery("engine", broker=os.environ["BROKER"])


@app.task(name="engine.work")
def work(work, **more):
    pathlib.Path(work, "pid").write_text(str(os.getpid()))
    time.sleep(600)
"""


@contextmanager
def _celery_worker(
    folder: Path, broker: str, ours: str, program: str = EXAMPLE, pool: str = "solo"
) -> Iterator[None]:
    """In an environment where there is no Penstock."""
    (folder / "celery_engine.py").write_text(program)
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    with (folder / "engine.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "celery_engine", "worker"),
                *("--queues", "gpu", "--concurrency", "1", "--pool", pool),
            ],
            cwd=folder,
            env=environment | {"BROKER": broker, "PENSTOCK_BROKER": ours},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def test_a_celery_worker_elsewhere_does_the_work_and_tells_by_a_task(tmp_path: Path) -> None:
    folder = tmp_path / "gpu"
    folder.mkdir()
    with Archive() as archive:
        gateway = Gateway(tmp_path)  # for its server's address
        broker = f"{gateway.server.url.rstrip('/').removesuffix('/0')}/1"
        settings = _settings(
            kind="celery", task="engine.work", queue="gpu", broker=broker, export_to=["ARCHIVE"]
        )
        settings["destinations"] = {"ARCHIVE": archive.settings()}
        gateway.configure(**settings)
        with gateway, _celery_worker(folder, broker, gateway.server.url):
            _send(gateway, CT, MR)
            gateway.wait_for_jobs(2, JobState.DONE, PATIENCE)
            logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
            assert str(Told.SUCCEEDED) in logs
        assert len(archive.received) == 2


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A server of its own for a fleet elsewhere."""
    if request.param == "redis":
        with EmbeddedServer(tmp_path / "broker") as server:
            yield server.url
    else:
        with rabbitmq(tmp_path / "broker") as url:
            yield url


def test_a_celery_worker_elsewhere_is_ended_with_its_job(tmp_path: Path, broker: str) -> None:
    folder = tmp_path / "gpu"
    folder.mkdir()
    gateway = Gateway(tmp_path)
    celery = {"task": "engine.work", "queue": "gpu", "broker": broker, "cancel": "terminate"}
    gateway.configure(**_settings(kind="celery", **celery))
    with gateway, _celery_worker(folder, broker, gateway.server.url, ENDLESS, "prefork"):
        _send(gateway, CT)
        pids = wait_for(lambda: list(gateway.tree.jobs.glob("*/attempts/1/work/pid")), PATIENCE)
        process = Path("/proc", wait_for(pids[0].read_text))
        assert process.exists()
        (job,) = gateway.jobs()
        assert gateway.penstock("jobs", "cancel", job.id).returncode == 0
        wait_for(lambda: not process.exists(), PATIENCE)
        wait_for(lambda: "was told to stop" in gateway.history(job)[-1].what, PATIENCE)


def test_a_persons_cancel_reaches_the_engine(tmp_path: Path, engine: Engine) -> None:
    settings = _webhook(engine, cancel_url=engine.url.replace("/engine", "/cancel"))
    with Gateway(tmp_path, **settings) as gateway:
        _send(gateway, CT, MR)
        wait_for(lambda: len(gateway.jobs()) == 2 and _elsewhere(gateway) == 1, PATIENCE)
        first = engine.requests[0].json["job"]
        assert gateway.penstock("jobs", "cancel", first).returncode == 0
        wait_for(lambda: len(engine.requests) == 3, PATIENCE)
        told = [(each.path.partition("?")[0], each.json["job"]) for each in engine.requests[1:]]
        assert ("/cancel", first) in told
        assert "/engine" in dict(told)  # the second job has its place


def test_any_celery_tells_by_a_line_of_shell_and_flower_is_shown_nothing_of_it(
    gateway: Gateway, engine: Engine, tmp_path: Path
) -> None:
    _send(gateway, CT)
    wait_for(lambda: _elsewhere(gateway) == 1, PATIENCE)
    events: list[dict[str, Any]] = []
    with _recorded(gateway.server.url, events):
        call = engine.requests[0].json
        end = {"job": call["job"], "token": call["token"], "succeeded": False}
        for message in ("DOE^JOHN", "told twice"):
            words = json.dumps(end | {"message": message})
            tell = ["-b", gateway.server.url, "call", "penstock.finish", "--queue", "finish"]
            subprocess.run(
                [sys.executable, "-m", "celery", *tell, "--kwargs", words],
                check=True,
                cwd=tmp_path,
                capture_output=True,
                timeout=60,
            )
        gateway.wait_for_job(JobState.FAILED, PATIENCE)
        wait_for(lambda: gateway.log("pipelines").count("callback taken") == 2, PATIENCE)
    for word in ("DOE", call["token"]):
        assert word not in str(events) + gateway.log("pipelines")
    (job,) = gateway.jobs()
    assert "DOE^JOHN" in gateway.history(job)[-1].error


def test_what_an_engine_tells_is_not_lost_with_the_worker_that_is_killed_over_it(
    gateway: Gateway, engine: Engine
) -> None:
    _send(gateway, CT)
    wait_for(lambda: _elsewhere(gateway) == 1, PATIENCE)
    gateway.kill("pipelines")
    mortal = {"DIES_AT": "workers.attempts.handover:EngineAttempt.tell"}
    gateway.start("pipelines", "tests.support.mortal_worker", **mortal)
    call = engine.requests[0].json
    with Celery(broker=gateway.server.url, set_as_current=False) as elsewhere:
        end = {"job": call["job"], "token": call["token"], "succeeded": True}
        elsewhere.send_task("penstock.finish", kwargs=end, queue="finish")
    assert gateway.process("pipelines").wait(PATIENCE) == -signal.SIGKILL
    gateway.start("pipelines")
    assert gateway.wait_for_job(timeout=PATIENCE).attempt == 1


@contextmanager
def _recorded(url: str, events: list[dict[str, Any]]) -> Iterator[None]:
    """What Celery's monitors hear."""
    app = celery_app(url)
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": events.append})
        consumer = receiver.itercapture(limit=None, timeout=None, wakeup=False)
        next(consumer)  # a worker's sign of life: we are heard
        thread = threading.Thread(target=lambda: [*consumer])
        thread.start()
        try:
            yield
        finally:
            receiver.should_stop = True
            thread.join()
