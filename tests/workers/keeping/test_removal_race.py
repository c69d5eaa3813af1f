"""A person's retry and the removal of a job cannot both win."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.job_state import JobState
from shared.registry.views import UnknownJobError, find_job
from tests.workers.site import Given, Site, id_of

JOBS = 60


def test_each_job_is_retried_or_removed_and_never_both(make_site: Callable[..., Site]) -> None:
    site = make_site(storage={"failed_retention": "7d"})
    jobs = [failed(site, timedelta(days=8, minutes=n)) for n in range(JOBS)]
    root = Path(__file__).parents[3]
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.workers.racer", what, str(site.file), site.url],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root)},
        )
        for what in ("keep", "retry")
    ]
    try:
        assert [racer.wait(60) for racer in racers] == [0, 0]
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    steps = site.steps()
    removed = [job_id for job_id in jobs if not site.folder(job_id).path.exists()]
    for job_id in jobs:
        if job_id in removed:
            assert steps[job_id] == "removing"
            assert find(site, job_id) is None
        else:
            assert site.folder(job_id).read().state is JobState.QUEUED
            assert (site.folder(job_id).input / "1.2.3.dcm").exists()
            assert steps[job_id] == "waiting"
            assert find(site, job_id) is JobState.QUEUED
    assert 0 < len(removed) < JOBS


def failed(site: Site, age: timedelta) -> str:
    job_id = site.dispatched(Given("1.2.3"), id=id_of(age))
    ended = {"failure": "no luck", "ended": datetime.now(UTC) - age}
    site.folder(job_id).update(lambda job: job.model_copy(update=ended))
    site.gate.withdraw(job_id)
    site.context.records.move(job_id, JobState.FAILED)
    return job_id


def find(site: Site, job_id: str) -> JobState | None:
    try:
        return find_job(site.redis, job_id).state
    except UnknownJobError:
        return None
