"""What is kept, set apart, brought back and removed, with every part a process of its own."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from shared.job import STATE_FILE, Job
from shared.job_folder import JobFolder
from shared.job_state import JobState
from shared.registry import keys
from tests.support.destinations import Archive
from tests.support.folders import paths_below
from tests.support.gateway import Gateway
from tests.support.samples import sample_file
from tests.support.waiting import wait_for
from tests.workers.kept import names
from tests.workers.site import id_of

CT = sample_file("CT_small.dcm")
MANY = 4000


def _router(archive: Archive, *titles: str) -> dict[str, Any]:
    return {
        "ae_titles": [{"title": title, "pipeline": "route"} for title in titles],
        "pipelines": {"route": {"kind": "forward", "export_to": ["ARCHIVE"]}},
        "destinations": {"ARCHIVE": archive.settings()},
    }


def test_an_aborted_delivery_is_committed_by_hand_and_goes_all_the_way(tmp_path: Path) -> None:
    with Archive() as archive, Gateway(tmp_path, **_router(archive, "ROUTER")) as gateway:
        sender = gateway.storescu_held(CT, called="ROUTER")
        wait_for(lambda: paths_below(gateway.tree.incoming, ".dcm"))
        sender.kill()
        sender.wait()
        (name,) = wait_for(lambda: names(gateway.tree.aborted))
        (listed,) = json.loads(gateway.penstock("aborted", "list", "--json").stdout)
        assert (listed["id"], listed["instances"], listed["ae_title"]) == (name, 1, "ROUTER")
        assert gateway.jobs() == []
        (stored,) = (gateway.tree.aborted / name).glob("*.dcm")
        content = stored.read_bytes()

        done = gateway.penstock("aborted", "commit", name)
        assert done.returncode == 0, done.stderr
        job = gateway.wait_for_job()
        assert job.incomplete
        (file,) = (gateway.tree.jobs / job.id / "input").iterdir()
        assert (file.name, file.read_bytes()) == (stored.name, content)
        assert len(archive.received) == 1
        assert "nothing to do" in gateway.penstock("aborted", "commit", name).stdout


def test_what_came_for_an_ae_title_that_is_gone_is_released_for_another(tmp_path: Path) -> None:
    with (
        Archive() as archive,
        Gateway(tmp_path, ("receiver",), **_router(archive, "OLD")) as gateway,
    ):
        assert gateway.storescu(CT, called="OLD").returncode == 0
        settings = gateway.config.read_text().replace('title = "OLD"', 'title = "NEW"')
        gateway.config.write_text(settings)
        gateway.start("exports")
        gateway.start("pipelines")
        (name,) = wait_for(lambda: names(gateway.tree.quarantine))
        (listed,) = json.loads(gateway.penstock("quarantine", "list", "--json").stdout)
        assert "'OLD'" in listed["quarantine_reason"]
        refused = gateway.penstock("quarantine", "release", name)
        assert (refused.returncode, "'OLD'" in refused.stderr) == (1, True)
        assert gateway.penstock("quarantine", "release", name, "--ae-title", "NEW").returncode == 0
        assert gateway.wait_for_job().ae_title == "NEW"
        assert len(archive.received) == 1


def test_jobs_go_when_their_time_is_over_and_failed_ones_stay(tmp_path: Path) -> None:
    with Gateway(
        tmp_path,
        storage={
            "root": "storage",
            "watermark_percent": 100,
            "reserve_gb": 0,
            "job_retention": "1s",
        },
        ae_titles=[{"title": "BAD", "pipeline": "bad"}, {"title": "GOOD", "pipeline": "good"}],
        pipelines={
            "bad": {"kind": "command", "command": ["false"], "max_attempts": 1},
            "good": {"kind": "command", "command": ["true"]},
        },
    ) as gateway:
        gateway.storescu(CT, called="BAD")
        (failed,) = wait_for(lambda: gateway.jobs(JobState.FAILED))
        gateway.storescu(CT, called="GOOD")
        wait_for(lambda: len(names(gateway.tree.jobs)) == 2)
        wait_for(lambda: names(gateway.tree.jobs) == [failed.id])
        wait_for(lambda: names(gateway.tree.trash) == [])
        assert names(gateway.tree.deliveries) == [failed.delivery]
        assert [job.id for job in gateway.jobs()] == [failed.id]


def test_a_recovery_killed_in_the_middle_is_done_again_and_nothing_finished_is(
    tmp_path: Path,
) -> None:
    with Archive() as archive, Gateway(tmp_path, **_router(archive, "ROUTER")) as gateway:
        gateway.storescu(CT, called="ROUTER")
        finished = gateway.wait_for_job()
        for part in ("exports", "pipelines"):
            gateway.kill(part)
        assert gateway.storescu(sample_file("MR_small.dcm"), called="ROUTER").returncode == 0
        _copies(gateway, JobFolder(gateway.tree, finished.id).read(), MANY)
        gateway.redis.flushall()

        recovery = subprocess.Popen(
            [sys.executable, "-P", "-m", "deploy", "-c", str(gateway.config), "recover"],
            env={"PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: gateway.redis.zcard(keys.JOBS_BY_TIME) > 0)
        recovery.kill()
        recovery.wait()
        assert gateway.redis.zcard(keys.JOBS_BY_TIME) < MANY + 1

        again = gateway.penstock("recover")
        assert again.returncode == 0, again.stderr
        assert f"{MANY + 1} jobs on disk" in again.stdout
        assert "1 deliveries wait for their dispatch" in again.stdout
        assert gateway.redis.zcard(keys.JOBS_BY_STATE + JobState.DONE) == MANY + 1

        for part in ("exports", "pipelines"):
            gateway.start(part)
        wait_for(lambda: gateway.redis.zcard(keys.JOBS_BY_STATE + JobState.DONE) == MANY + 2, 60)
        assert len(archive.received) == 2  # each once


def test_a_recovery_beside_live_workers_leaves_what_runs_alone(tmp_path: Path) -> None:
    with Archive(delay=0.3) as archive, Gateway(tmp_path, **_router(archive, "ROUTER")) as gateway:
        names_ = ("CT_small.dcm", "MR_small.dcm", "rtdose.dcm", "rtplan.dcm", "test-SR.dcm")
        gateway.storescu(*map(sample_file, names_), called="ROUTER")
        wait_for(lambda: archive.received)
        gateway.redis.flushall()
        while len(archive.received) < len(names_):
            assert gateway.penstock("recover").returncode == 0
        gateway.wait_for_job()
        assert len(archive.received) == len(names_)


def _copies(gateway: Gateway, job: Job, count: int) -> None:
    """So many jobs that have ended as this one has."""
    for number in range(count):
        folder = gateway.tree.jobs / id_of(timedelta(seconds=number))
        folder.mkdir()
        copy = job.model_copy(update={"id": folder.name})
        (folder / STATE_FILE).write_text(copy.model_dump_json())
