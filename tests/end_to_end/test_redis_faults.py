"""Redis away, restarted, emptied, out of reach: nothing released is lost, nothing runs twice."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.system import free_port
from shared.announce import dispatch_step
from shared.broker import celery_app, publish
from shared.job_state import JobState
from shared.registry.gate import Gate, Leases
from shared.registry.step import Queue
from shared.registry.views import find_job
from tests.support.destinations import HOST, Archive
from tests.support.gateway import Gateway
from tests.support.held_pipeline import HeldPipeline
from tests.support.link import Link
from tests.support.samples import data_set, sample_file
from tests.support.scu import Scu
from tests.support.waiting import wait_for

BOUND = 5.0  # seconds that a release may take, whatever Redis does
DRAIN, END = 5.0, 15.0  # seconds for what a worker runs, and then for the worker itself


def one_held_pipeline(pipeline: HeldPipeline) -> dict[str, Any]:
    return {
        "ae_titles": [{"title": "SLOW", "pipeline": "held"}],
        "pipelines": {"held": pipeline.section(export_to=[])},
    }


@contextmanager
def killed_redis(gateway: Gateway) -> Iterator[None]:
    gateway.kill_redis()
    yield
    gateway.server.start()


@contextmanager
def suspended_redis(gateway: Gateway) -> Iterator[None]:
    with gateway.suspended_redis():
        yield


@pytest.mark.parametrize("away", [killed_redis, suspended_redis])
def test_no_release_waits_for_redis_and_all_is_dispatched_afterwards_once(
    tmp_path: Path, away: Any
) -> None:
    pipeline = HeldPipeline(tmp_path)
    pipeline.let_go()
    with Gateway(tmp_path, **one_held_pipeline(pipeline)) as gateway:
        with away(gateway):
            for _ in range(5):
                begun = time.monotonic()
                sent = gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
                assert sent.returncode == 0, sent.stderr
                assert time.monotonic() - begun < BOUND
            assert len(list(gateway.tree.committed.iterdir())) == 5
        jobs = gateway.wait_for_jobs(5, JobState.DONE, 60)
        assert len({job.delivery for job in jobs}) == 5
        assert sorted(pipeline.log) == ["end"] * 5 + ["start"] * 5


def test_workers_consume_again_after_two_restarts_and_a_storm_of_resets(tmp_path: Path) -> None:
    pipeline = HeldPipeline(tmp_path)
    with Gateway(tmp_path, **one_held_pipeline(pipeline)) as gateway:
        workers = {part: gateway.process(part).pid for part in ("exports", "pipelines")}
        gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
        wait_for(lambda: pipeline.log == ["start"])
        for _ in range(2):
            gateway.kill_redis()
            gateway.server.start()
        for _ in range(20):
            for kind in ("normal", "pubsub"):
                gateway.redis.client_kill_filter(_type=kind, skipme=True)
            time.sleep(0.05)  # the storm's own pace: some have come back by then
        gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
        pipeline.let_go()
        jobs = gateway.wait_for_jobs(2, JobState.DONE, 60)
        assert {job.attempt for job in jobs} == {1}
        assert sorted(pipeline.log) == ["end", "end", "start", "start"]
        for part, pid in workers.items():
            assert gateway.process(part).poll() is None
            assert gateway.process(part).pid == pid


def test_emptied_with_work_in_every_state_redis_gets_all_of_it_back(tmp_path: Path) -> None:
    pipeline = HeldPipeline(tmp_path)
    titles = {"SLOW": "held", "BAD": "bad", "QUICK": "quick", "STUCK": "stuck"}
    with (
        Archive() as archive,
        Gateway(
            tmp_path,
            ae_titles=[{"title": title, "pipeline": name} for title, name in titles.items()],
            pipelines={
                "held": pipeline.section(max_parallel=1),
                "bad": {"kind": "command", "command": ["false"], "max_attempts": 1},
                "quick": {"kind": "forward", "export_to": ["ARCHIVE"]},
                "stuck": {"kind": "forward", "export_to": ["NOWHERE"]},
            },
            destinations={
                "ARCHIVE": archive.settings(),
                "NOWHERE": {"ae_title": "NOWHERE", "host": HOST, "port": free_port(HOST)},
            },
            workers={"running_lease": "5s"},
        ) as gateway,
    ):

        def send(title: str, reached: JobState) -> str:
            """A delivery's job, once it is so far."""
            before = {job.id for job in gateway.jobs()}
            assert gateway.storescu(sample_file("CT_small.dcm"), called=title).returncode == 0
            (job_id,) = wait_for(lambda: {job.id for job in gateway.jobs()} - before)
            wait_for(lambda: find_job(gateway.redis, job_id).state is reached)
            return job_id

        expected = {}
        for title, reached in (
            ("QUICK", JobState.DONE),
            ("BAD", JobState.FAILED),
            ("STUCK", JobState.EXPORTING),
            ("SLOW", JobState.RUNNING),
            ("SLOW", JobState.QUEUED),
        ):
            expected[send(title, reached)] = reached
        with closing(Scu((HOST, gateway.port))) as scu:  # an association that stays open
            scu.associate(called="SLOW")
            assert scu.store("1.2.3", data_set(100)).status == 0
            with gateway.suspended("exports"):
                gateway.storescu(sample_file("MR_small.dcm"), called="QUICK")
                wait_for(lambda: list(gateway.tree.committed.iterdir()))
                gateway.redis.flushall()
            wait_for(lambda: len(gateway.jobs()) == len(expected) + 1, 30)
            came_back = {job.id: job.state for job in gateway.jobs() if job.id in expected}
            queued = (JobState.QUEUED, JobState.RUNNING)  # which of them runs is the gate's to know
            assert {i: s for i, s in came_back.items() if expected[i] not in queued} == {
                i: s for i, s in expected.items() if s not in queued
            }
            assert scu.store("1.2.4", data_set(100)).status == 0
            scu.release()
        pipeline.let_go()
        wait_for(lambda: len(gateway.jobs()) == len(expected) + 2, 30)
        wait_for(lambda: len(gateway.jobs(JobState.DONE)) == 5, 60)

        # Three runs, one after the other: the one that ran goes on, none begins anew.
        assert pipeline.log == ["start", "end"] * 3
        assert len(gateway.jobs(JobState.FAILED)) == len(gateway.jobs(JobState.EXPORTING)) == 1
        # QUICK twice, SLOW twice with one instance, and the association's two.
        assert len(archive.received) == 6


def test_a_dispatch_delivered_twice_at_once_makes_one_job(tmp_path: Path) -> None:
    parts = ("exports", "exports-2")
    leases = {"granted_lease": "60s", "running_lease": "60s"}
    with Gateway(tmp_path, ("receiver",), workers=leases) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="PENSTOCK")
        (delivery_id,) = (path.name for path in gateway.tree.committed.iterdir())
        gate = Gate(gateway.redis, Leases(60, 60))
        gate.open()
        gate.announce_places("this test", {Queue.DISPATCH: 1})
        gate.submit(dispatch_step(delivery_id, "normal"))
        (grant,) = wait_for(lambda: gate.grant(Queue.DISPATCH))
        with celery_app(gateway.server.url) as app:
            for _ in range(10):
                publish(app, Queue.DISPATCH, grant)
        for part in parts:
            gateway.start(part)
        wait_for(lambda: gateway.redis.llen(Queue.DISPATCH) == 0, 30)
        (job,) = wait_for(gateway.jobs)
        wait_for(
            lambda: sum(gateway.log(part).count("stale message dropped") for part in parts) == 9
        )
        wait_for(lambda: any("delivery dispatched" in gateway.log(part) for part in parts))
        assert len(list(gateway.tree.jobs.iterdir())) == 1
        assert sum(gateway.log(part).count("delivery dispatched") for part in parts) == 1
        assert [line.what for line in gateway.history(job)] == ["dispatched, 1 instances"]


def test_a_worker_cut_off_from_redis_is_never_joined_by_another(tmp_path: Path) -> None:
    pipeline = HeldPipeline(tmp_path)
    with (
        Gateway(tmp_path, ("receiver", "exports"), **one_held_pipeline(pipeline)) as gateway,
        Link(gateway.server.port) as link,
    ):
        gateway.start("pipelines", PENSTOCK_REDIS__URL=f"redis://{HOST}:{link.port}/0")
        gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
        wait_for(lambda: pipeline.log == ["start"])
        gateway.start("pipelines-2")
        link.cut()
        # Its lease runs out, the step is granted again, and the other finds the run alive.
        wait_for(lambda: "an earlier attempt still runs" in gateway.log("pipelines-2"), 30)
        assert pipeline.log == ["start"]
        pipeline.let_go()
        job = gateway.wait_for_job()
        link.mend()
        wait_for(lambda: "going on" in gateway.log("pipelines"), 30)
        # It is in no way harmed: with the other one gone, it takes the next.
        gateway.kill("pipelines-2")
        gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
        jobs = gateway.wait_for_jobs(2, JobState.DONE, 60)
        assert job.id in {each.id for each in jobs}
        assert pipeline.log == ["start", "end"] * 2


@pytest.mark.parametrize("away", [killed_redis, suspended_redis])
def test_a_worker_told_to_stop_ends_though_redis_is_away_and_its_step_is_run_again(
    tmp_path: Path, away: Any
) -> None:
    pipeline = HeldPipeline(tmp_path)
    with Gateway(tmp_path, **one_held_pipeline(pipeline)) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
        wait_for(lambda: pipeline.log == ["start"])
        parts = ("exports", "pipelines")  # the one is idle
        with away(gateway):
            wait_for(lambda: "beat failed" in gateway.log("pipelines"))
            begun = time.monotonic()
            for part in parts:
                gateway.process(part).terminate()
            for part in parts:
                gateway.process(part).wait(60)
            assert time.monotonic() - begun < DRAIN + END
        pipeline.let_go()
        gateway.start("exports")
        gateway.start("pipelines-2")
        gateway.wait_for_job(timeout=60)
        assert pipeline.log == ["start", "start", "end"]
