"""Destinations that go down, drop what they had, or are paused, with real workers."""

from pathlib import Path
from typing import Any

from deploy.system import free_port
from shared.destination_state import DestinationState
from shared.job_state import JobState
from shared.registry.destinations import Breaker, Health, destination_healths
from shared.tree import ids_in
from tests.support.destinations import HOST, Archive, storescp
from tests.support.gateway import Gateway
from tests.support.link import Link
from tests.support.samples import sample_file
from tests.support.waiting import wait_for

NAMES = ("CT_small.dcm", "MR_small.dcm", "rtdose.dcm", "rtplan.dcm", "test-SR.dcm")


def _router(exporter: dict[str, Any] | None = None, **destinations: dict[str, Any]) -> Any:
    return {
        "ae_titles": [{"title": "ROUTER", "pipeline": "route"}],
        "pipelines": {"route": {"kind": "forward", "export_to": list(destinations)}},
        "destinations": destinations,
        "exporter": exporter or {},
    }


def _health(gateway: Gateway, name: str) -> Health:
    return destination_healths(gateway.redis, [name])[name]


def _further(folder: Path) -> Gateway:
    """Another Penstock."""
    folder.mkdir()
    return Gateway(
        folder,
        ae_titles=[{"title": "NEXT", "pipeline": "keep"}],
        pipelines={"keep": {"kind": "forward"}},
    )


def test_a_penstock_behind_a_line_that_is_cut_has_everything_in_released_associations(
    tmp_path: Path,
) -> None:
    """It drops what came in an association that was lost, whatever it had answered."""
    (tmp_path / "here").mkdir()
    with _further(tmp_path / "next") as further, Link(further.port) as line:
        there = {"ae_title": "NEXT", "host": HOST, "port": line.port, "confirm": "release"}
        settings = _router({"rate_limit": "4/s"}, NEXT=there)
        with Gateway(tmp_path / "here", **settings) as gateway:
            gateway.storescu(*map(sample_file, NAMES), called="ROUTER")
            (job,) = wait_for(gateway.jobs)
            log = gateway.tree.jobs / job.id / "sent-NEXT.log"
            wait_for(lambda: log.exists() and log.read_text().count("DELIVERED") >= 2)
            line.cut()
            wait_for(lambda: list(ids_in(further.tree.aborted)))
            line.mend()
            job = gateway.wait_for_job()
            assert job.destinations["NEXT"].delivered == len(NAMES)

            def arrived() -> int:
                done = [each for each in further.jobs() if each.state is JobState.DONE]
                return sum(each.instances for each in done)

            wait_for(lambda: arrived() == len(NAMES))
            assert log.read_text().count("DELIVERED") > len(NAMES)


def test_when_a_destination_is_back_all_that_waited_goes_at_once(tmp_path: Path) -> None:
    port = free_port(HOST)
    settings = _router(
        {"retry_first": "1s", "retry_longest": "2s", "probe_after": 2},
        BACK={"ae_title": "BACK", "host": HOST, "port": port},
    )
    with Gateway(tmp_path, **settings) as gateway:
        for _ in range(6):
            gateway.storescu(sample_file("CT_small.dcm"), called="ROUTER")
        wait_for(lambda: _health(gateway, "BACK").breaker is Breaker.OPEN, 30)
        assert "Connection refused" in _health(gateway, "BACK").error
        wait_for(lambda: len(gateway.jobs(JobState.EXPORTING)) == 6, 30)
        tried = [job for job in gateway.jobs() if _is_tried(gateway, job.id)]
        assert len(tried) < 6  # the others wait for the probe, and cost nothing
        assert {job.waits["BACK"] for job in gateway.jobs()} == {"breaker open"}
        status = gateway.penstock("status")
        assert status.returncode == 1
        assert "breaker open since" in " ".join(status.stdout.split())
        with storescp(tmp_path / "arrived", port=port):
            gateway.wait_for_jobs(6, JobState.DONE)
        assert _health(gateway, "BACK") == Health()


def _is_tried(gateway: Gateway, job_id: str) -> bool:
    return (gateway.tree.jobs / job_id / "sent-BACK.log").exists()


def test_a_pause_outlasts_restarts_of_everything_and_an_emptied_redis(tmp_path: Path) -> None:
    with (
        Archive() as archive,
        Gateway(tmp_path, **_router(ARCHIVE=archive.settings())) as gateway,
    ):
        assert gateway.penstock("destinations", "pause", "ARCHIVE").returncode == 0
        gateway.storescu(sample_file("CT_small.dcm"), called="ROUTER")
        gateway.wait_for_job(JobState.EXPORTING)
        assert gateway.jobs()[0].waits == {"ARCHIVE": "paused"}
        gateway.kill("exports")
        gateway.redis.flushall()
        gateway.start("exports")
        wait_for(lambda: _health(gateway, "ARCHIVE").paused)
        gateway.storescu(sample_file("MR_small.dcm"), called="ROUTER")
        gateway.wait_for_jobs(2, JobState.EXPORTING)
        wait_for(lambda: [job.waits for job in gateway.jobs()] == [{"ARCHIVE": "paused"}] * 2)
        assert archive.received == []
        assert gateway.penstock("destinations", "resume", "ARCHIVE").returncode == 0
        gateway.wait_for_jobs(2, JobState.DONE)
    assert len(archive.received) == 2


def test_what_failed_goes_elsewhere_when_a_person_says_so(tmp_path: Path) -> None:
    with Archive(statuses=(0xC000, 0x0124)) as picky, Archive() as other:
        settings = _router(PICKY=picky.settings())
        settings["destinations"]["OTHER"] = other.settings()
        with Gateway(tmp_path, **settings) as gateway:
            files = [sample_file(name) for name in ("CT_small.dcm", "MR_small.dcm")]
            gateway.storescu(*files, called="ROUTER")
            job = gateway.wait_for_job(JobState.FAILED)
            assert "0124 (not authorized)" in job.destinations["PICKY"].reason
            assert "0124 (not authorized)" in gateway.penstock("status").stdout
            assert "destination refuses what it is sent" in gateway.log("exports")
            assert job.id in gateway.penstock("exports").stdout
            redirected = gateway.penstock("exports", "redirect", job.id, "--to", "OTHER")
            assert redirected.returncode == 0
            job = gateway.wait_for_job()
            assert job.destinations["PICKY"].state is DestinationState.DISCARDED
    assert len(other.received) == 2
