"""Workers suspended, overloaded, killed by their work; settings that change meanwhile."""

import signal
from pathlib import Path

from shared.job_state import JobState
from shared.quarantine import read_quarantined
from tests.support.gateway import Gateway
from tests.support.held_pipeline import HeldPipeline
from tests.support.samples import sample_file
from tests.support.waiting import wait_for

AT_ITS_PLAN = {"DIES_AT": "workers.dispatching.dispatch:make_plan"}


def test_a_worker_suspended_past_its_lease_does_not_go_on_beside_the_next(tmp_path: Path) -> None:
    pipeline = HeldPipeline(tmp_path)
    with Gateway(
        tmp_path,
        ae_titles=[{"title": "SLOW", "pipeline": "held"}],
        pipelines={"held": pipeline.section(export_to=[])},
    ) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
        wait_for(lambda: pipeline.log == ["start"])
        with gateway.suspended("pipelines"):
            gateway.start("pipelines-2")
            wait_for(lambda: "an earlier attempt still runs" in gateway.log("pipelines-2"), 30)
            assert pipeline.log == ["start"]
        # The one that wakes hears that its step is another's, and ends its program.
        wait_for(lambda: "its lease is lost" in gateway.log("pipelines"), 30)
        wait_for(lambda: pipeline.log == ["start", "start"], 30)
        pipeline.let_go()
        job = gateway.wait_for_job()
        assert pipeline.log == ["start", "start", "end"]
        assert job.attempt == 2
        output = gateway.tree.jobs / job.id / "attempts" / "1" / "output"
        assert not list(output.iterdir())
        for part in ("pipelines", "pipelines-2"):
            assert gateway.process(part).poll() is None


def test_fifty_jobs_on_four_places_are_each_run_once(tmp_path: Path) -> None:
    """Work that merely waits loses no lease; the leases are shorter than what there is to do."""
    pipeline = HeldPipeline(tmp_path)
    with Gateway(
        tmp_path,
        ae_titles=[{"title": "SLOW", "pipeline": "held"}],
        pipelines={"held": pipeline.section(export_to=[])},
    ) as gateway:
        for _ in range(50):
            gateway.storescu(sample_file("CT_small.dcm"), called="SLOW")
        wait_for(lambda: len(gateway.jobs(JobState.RUNNING)) == 4, 60)
        wait_for(lambda: len(gateway.jobs(JobState.QUEUED)) == 46, 60)
        assert pipeline.log == ["start"] * 4
        pipeline.let_go()
        jobs = gateway.wait_for_jobs(50, JobState.DONE, 100)
        assert {job.attempt for job in jobs} == {1}
        assert sorted(pipeline.log) == ["end"] * 50 + ["start"] * 50
        assert most_at_once(pipeline.log) == 4


def most_at_once(log: list[str]) -> int:
    running, most = 0, 0
    for word in log:
        running += 1 if word == "start" else -1
        most = max(most, running)
    return most


def test_a_delivery_that_kills_its_worker_each_time_ends_in_quarantine(tmp_path: Path) -> None:
    with Gateway(tmp_path, ("receiver",), workers={"max_step_attempts": 3}) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="PENSTOCK")
        for _ in range(3):
            gateway.start("exports", "tests.support.mortal_worker", **AT_ITS_PLAN)
            assert gateway.process("exports").wait(30) == -signal.SIGKILL
        gateway.start("exports", "tests.support.mortal_worker", **AT_ITS_PLAN)
        (folder,) = wait_for(lambda: list(gateway.tree.quarantine.iterdir()), 30)
        written = wait_for(lambda: read_quarantined(folder))
        assert written is not None
        assert written.reason == "given up: 3 runs of it broke off"
        wait_for(lambda: "delivery quarantined" in gateway.log("exports"))
        assert gateway.process("exports").poll() is None
        assert not list(gateway.tree.committed.iterdir())
        assert not list(gateway.tree.deliveries.iterdir())


def test_an_ae_title_removed_while_its_delivery_waits_ends_in_quarantine(tmp_path: Path) -> None:
    both = [{"title": "GONE", "pipeline": "keep"}, {"title": "STAYS", "pipeline": "keep"}]
    with Gateway(tmp_path, ("receiver",), ae_titles=both) as gateway:
        for title in ("GONE", "STAYS"):
            gateway.storescu(sample_file("CT_small.dcm"), called=title)
        gateway.configure(ae_titles=both[1:])
        for part in ("exports", "pipelines"):
            gateway.start(part)
        job = gateway.wait_for_job()
        assert job.ae_title == "STAYS"
        (folder,) = wait_for(lambda: list(gateway.tree.quarantine.iterdir()))
        assert (folder / "delivery.json").exists()
        assert len(list(folder.glob("*.dcm"))) == 1
        assert "its AE title 'GONE' is not in the settings" in gateway.log("exports")


def test_a_pipeline_removed_while_its_job_waits_fails_the_job_and_says_so(tmp_path: Path) -> None:
    titles = [{"title": "BRAIN", "pipeline": "gone"}]
    with Gateway(
        tmp_path,
        ("receiver", "exports"),
        ae_titles=titles,
        pipelines={"gone": {"kind": "forward"}},
    ) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="BRAIN")
        gateway.wait_for_job(JobState.QUEUED)
        gateway.configure(
            ae_titles=[{"title": "BRAIN", "pipeline": "other"}],
            pipelines={"other": {"kind": "forward"}},
        )
        gateway.start("pipelines")
        job = gateway.wait_for_job(JobState.FAILED)
        assert job.reason == "no pipeline is named 'gone' any more"
        assert len(list((gateway.tree.jobs / job.id / "input").iterdir())) == 1  # not lost
