"""Associations of one study become one job, once all is quiet, and only once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.job_state import JobState
from shared.registry.views import JobView
from tests.end_to_end.test_faults import HeldPipeline
from tests.support.gateway import HOST, Gateway
from tests.support.scu import Scu
from tests.support.waiting import wait_for
from tests.workers.grouping import image
from tests.workers.site import Given, write_instance

ONE, TWO, THREE = image(1), image(2), image(3)
OTHER = image(9, study="1.9.9")


def settings(pipeline: HeldPipeline, **entry: Any) -> dict[str, Any]:
    title = {"title": "GROUP", "pipeline": "noted", "group_by": "study", "max_wait": "5m"}
    return {
        "ae_titles": [title | {"quiet_period": "2s"} | entry],
        "pipelines": {"noted": pipeline.section() | {"export_to": []}},
    }


@contextmanager
def associated(gateway: Gateway, *images: Given, calling: str = "CT01") -> Iterator[Scu]:
    """An association that is open, and has stored these."""
    with Scu((HOST, gateway.port)) as scu:
        scu.associate(called="GROUP", calling=calling)
        for each in images:
            assert scu.store(each.uid, each.data_set).status == 0
        yield scu


def send(gateway: Gateway, *images: Given, calling: str = "CT01") -> None:
    with associated(gateway, *images, calling=calling) as scu:
        scu.release()


def job_from(gateway: Gateway, calling: str, *states: JobState) -> JobView | None:
    found = [job for job in gateway.jobs() if job.calling_ae_title == calling]
    return next((job for job in found if job.state in states), None)


def check(gateway: Gateway, job: JobView, *images: Given) -> None:
    """The job is done, and its pipeline had these."""
    folder = gateway.tree.jobs / job.id / "attempts" / "1" / "output"
    assert {path.name for path in folder.iterdir()} == {f"{each.uid}.dcm" for each in images}
    assert (job.state, job.instances, job.attempt) == (JobState.DONE, len(images), 1)


def test_a_gap_under_the_quiet_period_makes_one_job_and_one_over_it_two(tmp_path: Path) -> None:
    pipeline = HeldPipeline(tmp_path)
    pipeline.let_go()
    with Gateway(tmp_path, **settings(pipeline, quiet_period="4s")) as gateway:
        for each in (ONE, TWO, THREE):
            write_instance(tmp_path / each.uid, each)
        for each in (ONE, TWO):
            sent = gateway.storescu(tmp_path / each.uid, called="GROUP")
            assert sent.returncode == 0, sent.stderr
        (waiting,) = wait_for(lambda: gateway.jobs(JobState.WAITING))
        assert waiting.retry_at is not None
        assert pipeline.log == []
        first = gateway.wait_for_job()
        check(gateway, first, ONE, TWO)
        assert first.deliveries == 2

        gateway.storescu(tmp_path / THREE.uid, called="GROUP")
        second, again = gateway.wait_for_jobs(2, JobState.DONE)
        assert again.id == first.id
        assert second.follows == first.id
        check(gateway, second, THREE)
        assert pipeline.log == ["start", "end"] * 2


def test_it_never_runs_while_an_association_of_its_sender_is_open(tmp_path: Path) -> None:
    pipeline = HeldPipeline(tmp_path)
    pipeline.let_go()
    with Gateway(tmp_path, **settings(pipeline)) as gateway:
        send(gateway, ONE)
        with associated(gateway, TWO) as scu:
            # That of another sender, begun later, comes due and runs.
            send(gateway, OTHER, calling="MR01")
            wait_for(lambda: job_from(gateway, "MR01", JobState.DONE), 30)
            waiting = job_from(gateway, "CT01", JobState.WAITING)
            assert waiting is not None
            assert "unless more comes" in gateway.penstock("jobs", "show", waiting.id).stdout
            scu.store(THREE.uid, THREE.data_set)
            scu.release()
        jobs = gateway.wait_for_jobs(2, JobState.DONE)
        (job,) = (job for job in jobs if job.calling_ae_title == "CT01")
        check(gateway, job, ONE, TWO, THREE)
        assert pipeline.log == ["start", "end"] * 2


def test_it_never_runs_while_a_delivery_of_its_sender_waits_for_dispatch(tmp_path: Path) -> None:
    pipeline = HeldPipeline(tmp_path)
    pipeline.let_go()
    with Gateway(tmp_path, **settings(pipeline)) as gateway:
        with associated(gateway, TWO) as scu:
            send(gateway, ONE)
            send(gateway, OTHER, calling="MR01")
            wait_for(lambda: len(gateway.jobs()) == 2)
            gateway.kill("exports")  # and with it dispatch
            scu.release()
        wait_for(lambda: job_from(gateway, "MR01", JobState.DONE), 30)
        assert job_from(gateway, "CT01", JobState.WAITING)
        assert len(list(gateway.tree.committed.iterdir())) == 1
        gateway.start("exports")
        jobs = gateway.wait_for_jobs(2, JobState.DONE)
        (job,) = (job for job in jobs if job.calling_ae_title == "CT01")
        check(gateway, job, ONE, TWO)


def test_after_its_longest_wait_it_runs_and_what_is_late_runs_by_itself(tmp_path: Path) -> None:
    pipeline = HeldPipeline(tmp_path)
    pipeline.let_go()
    with Gateway(tmp_path, **settings(pipeline, max_wait="3s")) as gateway:
        with associated(gateway, TWO) as scu:
            send(gateway, ONE)
            first = gateway.wait_for_job()
            check(gateway, first, ONE)
            assert "at its longest wait" in gateway.history(first)[1].what
            scu.release()
        second, _ = gateway.wait_for_jobs(2, JobState.DONE)
        check(gateway, second, TWO)
        assert second.follows == first.id
        shown = gateway.penstock("jobs", "show", second.id).stdout
        assert f"{first.id}, for which it came too late" in " ".join(shown.split())


def test_it_survives_workers_and_redis_and_runs_once(tmp_path: Path) -> None:
    pipeline = HeldPipeline(tmp_path)
    pipeline.let_go()
    with Gateway(tmp_path, **settings(pipeline)) as gateway:
        send(gateway, ONE)
        wait_for(lambda: gateway.jobs(JobState.WAITING))
        with associated(gateway, TWO) as scu:  # keeps it waiting over what follows
            for part in ("exports", "pipelines"):
                gateway.kill(part)
            gateway.kill_redis()
            gateway.server.start()
            for part in ("exports", "pipelines"):
                gateway.start(part)
            wait_for(lambda: gateway.jobs(JobState.WAITING))
            gateway.redis.flushall()
            (waiting,) = wait_for(lambda: gateway.jobs(JobState.WAITING))
            gateway.kill("pipelines")
            gateway.start("pipelines")
            scu.release()
        job = gateway.wait_for_job()
        assert job.id == waiting.id
        check(gateway, job, ONE, TWO)
        assert pipeline.log == ["start", "end"]
