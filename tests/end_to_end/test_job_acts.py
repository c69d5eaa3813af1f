"""What a person does to a job, while real workers are at it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.system import free_port
from shared.acts import JobActs
from shared.destination_state import DestinationState
from shared.job_folder import JobFolder
from shared.job_state import JobState
from shared.registry.views import history
from shared.settings import load
from tests.support.destinations import HOST, Archive, storescp
from tests.support.gateway import REPOSITORY, Gateway
from tests.support.samples import sample_file
from tests.support.waiting import wait_for

FIVE = ("CT_small.dcm", "MR_small.dcm", "rtdose.dcm", "rtplan.dcm", "test-SR.dcm")


def _program(script: str, **options: Any) -> dict[str, Any]:
    """An AE title whose one pipeline is a line of shell."""
    pipeline = {"kind": "command", "command": ["sh", "-c", script]} | options
    return {"ae_titles": [{"title": "AI", "pipeline": "ai"}], "pipelines": {"ai": pipeline}}


def _router(**destinations: dict[str, Any]) -> dict[str, Any]:
    return {
        "ae_titles": [{"title": "ROUTER", "pipeline": "route"}],
        "pipelines": {"route": {"kind": "forward", "export_to": list(destinations)}},
        "destinations": destinations,
    }


def _acts(gateway: Gateway) -> JobActs:
    return JobActs.of(load(gateway.config), gateway.redis)


def _done(gateway: Gateway, *words: str) -> None:
    run = gateway.penstock("jobs", *words)
    assert run.returncode == 0, run.stderr


def _interrupted(gateway: Gateway, job_id: str) -> bool:
    return any("interrupted" in line.what for line in history(gateway.redis, job_id))


def test_a_cancelled_command_ends_with_all_that_it_started(tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! $$ > {tmp_path}/pids.new; mv {tmp_path}/pids.new {tmp_path}/pids"
    with Gateway(tmp_path, **_program(f"{script}; wait")) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="AI")
        wait_for((tmp_path / "pids").exists)
        pids = (tmp_path / "pids").read_text().split()
        (job,) = gateway.jobs(JobState.RUNNING)
        _done(gateway, "cancel", job.id)
        wait_for(lambda: not any(Path("/proc", pid).exists() for pid in pids))
        wait_for(lambda: _interrupted(gateway, job.id))

        assert gateway.wait_for_job(JobState.CANCELLED).id == job.id
        folder = JobFolder(gateway.tree, job.id)
        assert folder.attempts() == 0
        assert folder.read().state is JobState.CANCELLED
        # The worker goes on, and Redis' loss brings nothing back.
        gateway.redis.flushall()
        gateway.wait_for_job(JobState.CANCELLED)
        assert folder.attempts() == 0


def test_a_held_command_is_interrupted_and_runs_again_when_it_is_released(tmp_path: Path) -> None:
    script = f"echo run >> {tmp_path}/runs; [ -e {tmp_path}/well ] || sleep 600"
    with Gateway(tmp_path, **_program(script, max_attempts=1)) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="AI")
        wait_for((tmp_path / "runs").exists)
        (job,) = gateway.jobs()
        _done(gateway, "hold", job.id)
        wait_for(lambda: _interrupted(gateway, job.id))
        gateway.redis.flushall()
        gateway.wait_for_job(JobState.HELD)
        (tmp_path / "well").touch()
        _done(gateway, "release", job.id)
        assert gateway.wait_for_job().attempt == 1
        assert (tmp_path / "runs").read_text().count("run") == 2


def test_held_and_released_at_once_a_command_runs_on_to_its_end(tmp_path: Path) -> None:
    """The release finds the run that the hold has withdrawn still there."""
    script = f"echo run >> {tmp_path}/runs; [ -e {tmp_path}/well ] || sleep 600"
    with Gateway(tmp_path, **_program(script, max_attempts=1)) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="AI")
        wait_for((tmp_path / "runs").exists)
        (job,) = gateway.jobs()
        (tmp_path / "well").touch()
        acts = _acts(gateway)
        acts.hold(job.id)
        acts.release(job.id)
        gateway.wait_for_job()


def test_an_export_held_and_released_sends_nothing_twice(tmp_path: Path) -> None:
    with (
        Archive(delay=0.5) as archive,
        Gateway(tmp_path, **_router(ARCHIVE=archive.settings())) as gateway,
    ):
        gateway.storescu(*map(sample_file, FIVE), called="ROUTER")
        wait_for(lambda: len(archive.received) >= 2)
        (job,) = gateway.jobs(JobState.EXPORTING)
        _acts(gateway).hold(job.id)  # at once: a command needs a second to start
        wait_for(lambda: _interrupted(gateway, job.id))
        (held,) = gateway.jobs(JobState.HELD)
        sent = len(archive.received)
        assert sent < len(FIVE)
        progress = held.destinations["ARCHIVE"]
        assert (progress.state, progress.delivered) == (DestinationState.PENDING, sent)
        _done(gateway, "release", job.id)
        gateway.wait_for_job()

        uids = [uid for uid, _, _ in archive.received]
        assert len(uids) == len(set(uids)) == len(FIVE)
        assert archive.released == 2


@pytest.mark.parametrize("emptied", [False, True], ids=["", "Redis emptied between"])
def test_a_failed_pipeline_is_run_again_by_a_retry(tmp_path: Path, emptied: bool) -> None:
    program = _program(f"[ -e {tmp_path}/well ]", max_attempts=1)
    with Gateway(tmp_path, **program) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="AI")
        job = gateway.wait_for_job(JobState.FAILED)
        (tmp_path / "well").touch()
        if emptied:
            gateway.redis.flushall()
        _done(gateway, "retry", job.id)
        again = gateway.wait_for_job()
        assert (again.attempt, again.reason) == (1, "")
        assert gateway.penstock("jobs", "retry", job.id).returncode == 1


def test_all_that_a_destination_missed_is_sent_once_it_is_back(tmp_path: Path) -> None:
    port = free_port(HOST)
    with Archive() as archive:
        settings = _router(
            PACS={"ae_title": "PACS", "host": HOST, "port": port}, ARCHIVE=archive.settings()
        )
        settings["exporter"] = {"give_up_after": "1s"}
        with Gateway(tmp_path, **settings) as gateway:
            for name in FIVE[:3]:
                gateway.storescu(sample_file(name), called="ROUTER")
            gateway.wait_for_jobs(3, JobState.FAILED)
            with storescp(tmp_path / "pacs", port=port):
                _done(gateway, "retry", "--failed", "--destination", "PACS")
                gateway.wait_for_jobs(3, JobState.DONE)
                assert len(list((tmp_path / "pacs").iterdir())) == 3
        assert len(archive.received) == 3


_KILLED = """
import os, signal, sys
from pathlib import Path
from shared.acts import JobActs
from shared.registry.connection import connect
from shared.registry.jobs import JobRecords
from shared.settings import load

settings = load(Path(sys.argv[1]))
JobRecords.reopen_destinations = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
acts = JobActs.of(settings, connect(settings.redis.url.get_secret_value()))
getattr(acts, sys.argv[2])(sys.argv[3])
"""


def _killed_after_the_disk(gateway: Gateway, act: str, job_id: str) -> None:
    words = [sys.executable, "-c", _KILLED, str(gateway.config), act, job_id]
    assert subprocess.run(words, cwd=REPOSITORY, check=False).returncode == -9


def test_an_act_whose_caller_was_killed_before_redis_was_told_is_done(tmp_path: Path) -> None:
    script = f"echo run >> {tmp_path}/runs; [ -e {tmp_path}/well ] || exit 1"
    with Gateway(tmp_path, **_program(script, max_attempts=1)) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="AI")
        job = gateway.wait_for_job(JobState.FAILED)
        (tmp_path / "well").write_text("")
        _killed_after_the_disk(gateway, "retry", job.id)
        gateway.wait_for_job()


def test_a_cancel_whose_caller_was_killed_ends_the_run_that_redis_still_has(
    tmp_path: Path,
) -> None:
    script = f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 600"
    with Gateway(tmp_path, **_program(script)) as gateway:
        gateway.storescu(sample_file("CT_small.dcm"), called="AI")
        wait_for((tmp_path / "pid").exists)
        (job,) = gateway.jobs()
        _killed_after_the_disk(gateway, "cancel", job.id)
        pid = (tmp_path / "pid").read_text().strip()
        wait_for(lambda: not Path("/proc", pid).exists())
        gateway.wait_for_job(JobState.CANCELLED)
