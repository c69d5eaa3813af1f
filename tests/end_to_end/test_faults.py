"""What is released is run whatever crashes next, and never twice at once."""

import signal
from pathlib import Path
from typing import Any

from shared.job_state import JobState
from tests.support.destinations import Archive
from tests.support.folders import paths_below
from tests.support.gateway import Gateway
from tests.support.held_pipeline import HeldPipeline
from tests.support.samples import sample_file
from tests.support.waiting import wait_for


def _settings(pipeline: HeldPipeline, archive: Archive) -> dict[str, Any]:
    return {
        "ae_titles": [{"title": "SLOW", "pipeline": "held"}],
        "pipelines": {"held": pipeline.section()},
        "destinations": {"ARCHIVE": archive.settings()},
    }


def test_a_worker_killed_in_the_middle_of_a_pipeline_ends_in_one_finished_job(
    tmp_path: Path,
) -> None:
    pipeline = HeldPipeline(tmp_path)
    with Archive() as archive, Gateway(tmp_path, **_settings(pipeline, archive)) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
        wait_for(lambda: pipeline.log == ["start"])
        gateway.kill("pipelines")
        gateway.start("pipelines")
        # The killed worker's child lives on and holds the job's lock, until the next one ends it.
        wait_for(lambda: pipeline.log == ["start", "start"])
        pipeline.let_go()
        job = gateway.wait_for_job()

        assert pipeline.log == ["start", "start", "end"]
        assert job.attempt == 2
        assert len(archive.received) == 1


def _log(gateway: Gateway, part: str) -> str:
    return (gateway.folder / f"{part}.log").read_text()


def test_a_worker_killed_while_it_sends_ends_in_one_finished_job(tmp_path: Path) -> None:
    with (
        Archive(delay=0.3) as archive,
        Gateway(
            tmp_path,
            ae_titles=[{"title": "ROUTER", "pipeline": "route"}],
            pipelines={"route": {"kind": "forward", "export_to": ["ARCHIVE"]}},
            destinations={"ARCHIVE": archive.settings()},
        ) as gateway,
    ):
        names = ("CT_small.dcm", "MR_small.dcm", "rtdose.dcm", "rtplan.dcm", "test-SR.dcm")
        files = [sample_file(name) for name in names]
        gateway.storescu(*files, called="ROUTER")
        wait_for(lambda: len(archive.received) == 2)
        gateway.kill("exports")
        gateway.start("exports")
        gateway.wait_for_job()

        uids = [uid for uid, _, _ in archive.received]
        assert len(set(uids)) == len(files)
        assert len(uids) <= len(files) + 1  # only the one whose answer was lost goes again


def test_redis_killed_with_a_task_in_flight_leaves_the_workers_alive(tmp_path: Path) -> None:
    pipeline = HeldPipeline(tmp_path)
    with Archive() as archive, Gateway(tmp_path, **_settings(pipeline, archive)) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
        wait_for(lambda: pipeline.log == ["start"])
        gateway.kill_redis()
        wait_for(lambda: "beat failed" in _log(gateway, "pipelines"))
        pipeline.let_go()
        wait_for(lambda: pipeline.log == ["start", "end"])
        gateway.server.start()
        gateway.wait_for_job()

        assert pipeline.log == ["start", "end"]  # finished work is not run again
        assert len(archive.received) == 1
        # The workers that were there from the start still consume.
        for part in ("exports", "pipelines"):
            assert gateway.process(part).poll() is None
        gateway.storescu(sample_file("MR_small.dcm"), called="SLOW")
        gateway.wait_for_jobs(2, JobState.DONE)


def test_receiving_goes_on_while_redis_is_down_and_all_is_dispatched_afterwards(
    tmp_path: Path,
) -> None:
    with Gateway(tmp_path) as gateway:
        gateway.kill_redis()
        for name in ("CT_small.dcm", "MR_small.dcm"):
            sent = gateway.storescu(sample_file(name), called="PENSTOCK")
            assert sent.returncode == 0, sent.stderr
        assert len(list(gateway.tree.committed.iterdir())) == 2
        gateway.server.start()
        gateway.wait_for_jobs(2, JobState.DONE)
        assert list(gateway.tree.committed.iterdir()) == []


def test_an_emptied_redis_gets_every_job_back_and_nothing_finished_runs_again(
    tmp_path: Path,
) -> None:
    pipeline = HeldPipeline(tmp_path)
    with Archive() as archive, Gateway(tmp_path, **_settings(pipeline, archive)) as gateway:
        pipeline.let_go()
        gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
        finished = gateway.wait_for_job()
        pipeline.hold()
        gateway.storescu(sample_file("MR_small.dcm"), called="SLOW")
        wait_for(lambda: len(pipeline.log) == 3)
        gateway.redis.flushall()
        wait_for(lambda: len(gateway.jobs()) == 2)
        pipeline.let_go()
        jobs = gateway.wait_for_jobs(2, JobState.DONE)

        assert finished.id in {job.id for job in jobs}
        assert pipeline.log == ["start", "end"] * 2
        assert len(archive.received) == 2


def test_a_receiver_killed_during_an_association_leaves_nothing_to_dispatch(
    tmp_path: Path,
) -> None:
    with Gateway(tmp_path, ("receiver", "exports")) as gateway:
        sender = gateway.storescu_held(sample_file("CT_small.dcm"), called="PENSTOCK")
        wait_for(lambda: paths_below(gateway.tree.incoming, ".dcm"))
        gateway.kill("receiver")
        sender.kill()
        sender.wait()
        gateway.start("receiver")
        wait_for(lambda: list(gateway.tree.aborted.iterdir()))
        assert list(gateway.tree.committed.iterdir()) == []
        assert list(gateway.tree.deliveries.iterdir()) == []


def test_a_pipeline_that_always_fails_ends_as_a_failed_job_and_others_go_on(
    tmp_path: Path,
) -> None:
    with Gateway(
        tmp_path,
        ae_titles=[{"title": "BAD", "pipeline": "bad"}, {"title": "GOOD", "pipeline": "good"}],
        pipelines={
            "bad": {"kind": "command", "command": ["false"], "max_attempts": 1},
            "good": {"kind": "command", "command": ["true"]},
        },
    ) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="BAD")
        gateway.storescu(sample_file("CT_small.dcm"), called="GOOD")
        wait_for(lambda: len(gateway.jobs(JobState.DONE)) == 1)
        (failed,) = wait_for(lambda: gateway.jobs(JobState.FAILED))
        assert failed.reason == "exit code 1 (attempt 1 of 1)"


def test_a_worker_told_to_stop_gives_its_pipeline_back_uncounted(tmp_path: Path) -> None:
    pipeline = HeldPipeline(tmp_path)
    with Archive() as archive, Gateway(tmp_path, **_settings(pipeline, archive)) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
        wait_for(lambda: pipeline.log == ["start"])
        stopped = gateway.process("pipelines")
        stopped.send_signal(signal.SIGTERM)
        assert stopped.wait(30) == 0
        pipeline.let_go()
        gateway.start("pipelines")
        job = gateway.wait_for_job()
        assert pipeline.log == ["start", "start", "end"]
        assert job.attempt == 1
