"""Programs that hang, print, fork, fill the disk or outlive their worker; others flow beside."""

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.job_state import JobState
from tests.support.file_systems import needs_tmpfs, tmpfs
from tests.support.flower import rows, wait_until_it_listens
from tests.support.gateway import Gateway
from tests.support.held_pipeline import HeldPipeline
from tests.support.samples import sample_file
from tests.support.waiting import wait_for

CT = sample_file("CT_small.dcm")


def shell(script: str, **options: Any) -> dict[str, Any]:
    return {"kind": "command", "command": ["sh", "-c", script], "max_attempts": 1, **options}


def titles(pipelines: dict[str, Any]) -> list[dict[str, str]]:
    return [{"title": name.upper(), "pipeline": name} for name in pipelines]


def processes_of(job_id: str) -> list[str]:
    """The command lines of those whose environment names the job."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if job_id.encode() in (path / "environ").read_bytes():
                found.append((path / "cmdline").read_text())
    return found


BAD = {
    "hangs": (shell("sleep 100", timeout="1s"), "timed out after 1 s (attempt 1 of 1)"),
    "fails": (shell("echo DOE^JOHN; exit 3"), "exit code 3 (attempt 1 of 1)"),
    "prints": (
        shell("head -c 1000000000 /dev/zero; echo the end; exit 4"),
        "exit code 4 (attempt 1 of 1)",
    ),
    "grows": (
        shell("yes > $MONAI_OUTPUTPATH/big", disk_limit="50MB"),
        "it wrote more than its disk_limit, 50MB (attempt 1 of 1)",
    ),
    "swallows": (
        shell(f"{sys.executable} -c 'bytes(10**9)'", memory_limit="200MB"),
        "exit code 1 (attempt 1 of 1)",
    ),
    "forks": (
        shell("for i in 1 2 3; do setsid sleep 100 & sleep 100 & done; exit 5"),
        "exit code 5 (attempt 1 of 1)",
    ),
    "meddles": (
        shell('cd "$MONAI_INPUTPATH"; for f in *; do chmod u+w $f; echo x >> $f; done'),
        "1 of the received instances were changed while it ran",
    ),
    "lies": (
        shell('echo no > "$MONAI_OUTPUTPATH/DOE^JOHN.dcm"'),
        "a file named *.dcm is not a DICOM file: there is no DICM prefix after the preamble",
    ),
}


def test_each_ends_as_a_failed_job_with_its_reason_while_others_flow(tmp_path: Path) -> None:
    pipelines = {name: section for name, (section, _) in BAD.items()}
    pipelines["good"] = shell('cp "$MONAI_INPUTPATH"/* "$MONAI_OUTPUTPATH"')
    with Gateway(
        tmp_path,
        ae_titles=titles(pipelines),
        pipelines=pipelines,
        workers={"pipeline_threads": 2},
    ) as gateway:
        for name in BAD:
            gateway.storescu(CT, called=name.upper())
            gateway.storescu(CT, called="GOOD")
        wait_for(lambda: len(gateway.jobs(JobState.DONE)) == len(BAD), 60)
        wait_for(lambda: len(gateway.jobs(JobState.FAILED)) == len(BAD), 60)
        failed = {job.pipeline: job for job in gateway.jobs(JobState.FAILED)}
        assert {name: job.reason for name, job in failed.items()} == {
            name: reason for name, (_, reason) in BAD.items()
        }
        wait_for(lambda: not any(processes_of(job.id) for job in failed.values()))

        # The last words are for who may read the storage.
        for name, words in (("fails", "DOE^JOHN"), ("prints", "the end"), ("lies", "DOE^JOHN")):
            shown = gateway.penstock("jobs", "show", failed[name].id)
            assert words in shown.stdout
            assert words not in gateway.penstock("jobs", "show", failed[name].id, "--json").stdout
        for log in tmp_path.glob("*.log"):
            assert "DOE" not in log.read_text()
        redis_files = [path for path in (gateway.tree.root / "redis").rglob("*") if path.is_file()]
        assert redis_files
        assert not [path for path in redis_files if b"DOE" in path.read_bytes()]
        (printed,) = (gateway.tree.jobs / failed["prints"].id).rglob("output.log")
        assert printed.stat().st_size < 10_001_000


@needs_tmpfs
def test_a_program_that_fills_the_disk_harms_no_other_for_long(tmp_path: Path) -> None:
    pipelines = {
        "fills": shell('cat /dev/zero > "$MONAI_OUTPUTPATH/big"; exit 1', max_attempts=2),
        "good": shell('cp "$MONAI_INPUTPATH"/* "$MONAI_OUTPUTPATH"'),
    }
    with (
        tmpfs(tmp_path / "small", "size=64m") as root,
        Gateway(
            tmp_path,
            ae_titles=titles(pipelines),
            pipelines=pipelines,
            storage={"root": str(root), "watermark_percent": 100, "reserve_gb": 0.01},
        ) as gateway,
    ):
        gateway.storescu(CT, called="FILLS")
        wait_for(lambda: [job for job in gateway.jobs() if job.attempt == 1])
        wait_for(lambda: gateway.storescu(CT, called="GOOD").returncode == 0, 30)
        wait_for(lambda: len(gateway.jobs(JobState.DONE)) == 1, 30)
        (failed,) = wait_for(lambda: gateway.jobs(JobState.FAILED), 30)
        assert "disk is under its reserve" in failed.reason
        assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) < 5_000_000


def test_a_killed_workers_program_is_ended_and_run_again_within_the_leases_time(
    tmp_path: Path,
) -> None:
    pipeline = HeldPipeline(tmp_path)
    pipelines = {"held": pipeline.section(export_to=[])}
    pipelines["held"]["cancel_command"] = ["sh", "-c", "echo {attempt} >> " + f"{tmp_path}/ended"]
    with Gateway(tmp_path, ae_titles=titles(pipelines), pipelines=pipelines) as gateway:
        gateway.storescu(CT, called="HELD")
        wait_for(lambda: pipeline.log == ["start"])
        (job,) = gateway.jobs()
        gateway.kill("pipelines")
        assert processes_of(job.id)
        gateway.start("pipelines")
        wait_for(lambda: pipeline.log == ["start", "start"])
        assert len(processes_of(job.id)) == 1
        assert (tmp_path / "ended").read_text() == "1\n"  # what it may have had elsewhere
        pipeline.let_go()
        assert gateway.wait_for_job().attempt == 2
        assert pipeline.log == ["start", "start", "end"]


def test_a_child_that_nobody_can_tell_for_the_programs_keeps_the_next_attempt_away(
    tmp_path: Path,
) -> None:
    hidden = tmp_path / "hidden"
    script = (
        f"[ -e {hidden} ] && exit;"
        f" env -i setsid sh -c 'echo $$ > {hidden}; exec sleep 100' &"
        f" until [ -s {hidden} ]; do sleep 0.01; done; exit 1"
    )
    pipelines = {"hides": shell(script, max_attempts=2)}
    with Gateway(tmp_path, ae_titles=titles(pipelines), pipelines=pipelines) as gateway:
        gateway.storescu(CT, called="HIDES")
        reason = "what a lost worker left behind still runs"
        wait_for(lambda: reason in gateway.log("pipelines"), 30)
        (job,) = gateway.jobs()
        assert job.attempt == 1
        os.kill(int(hidden.read_text()), 9)
        assert gateway.wait_for_job().attempt == 2


def test_a_pipeline_longer_than_the_visibility_timeout_is_run_once(tmp_path: Path) -> None:
    pipeline = HeldPipeline(tmp_path)
    pipelines = {"held": pipeline.section(export_to=[])}
    parts = ("receiver", "exports")
    with Gateway(tmp_path, parts, ae_titles=titles(pipelines), pipelines=pipelines) as gateway:
        for name in ("pipelines", "pipelines-2"):
            gateway.start(name, "tests.support.hasty_broker")
        gateway.storescu(CT, called="HELD")
        wait_for(lambda: pipeline.log == ["start"])

        def told_again() -> bool:
            logs = gateway.log("pipelines") + gateway.log("pipelines-2")
            return "stale message dropped" in logs

        wait_for(told_again, 30)
        pipeline.let_go()
        assert gateway.wait_for_job().attempt == 1
        assert pipeline.log == ["start", "end"]


def test_how_far_a_program_is_shows_in_the_jobs_and_in_flower(tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = (
        f"echo PENSTOCK_PROGRESS 0.4 DOE^JOHN is looked at; until [ -e {go} ]; do sleep 0.02; done"
    )
    pipelines = {"slow": shell(script)}
    parts = ("flower", "receiver", "exports", "pipelines")
    with Gateway(tmp_path, parts, ae_titles=titles(pipelines), pipelines=pipelines) as gateway:
        wait_until_it_listens(gateway)
        gateway.storescu(CT, called="SLOW")
        (job,) = wait_for(lambda: [job for job in gateway.jobs() if job.progress == 0.4], 30)
        assert "40%" in gateway.penstock("jobs").stdout
        shown = gateway.penstock("jobs", "show", job.id).stdout
        assert "40%" in shown
        assert "DOE^JOHN is looked at" in shown
        row = wait_for(lambda: _in_state(gateway, job.id, "PROGRESS"))
        assert row["result"] == "40%"
        assert "DOE" not in str(rows(gateway))
        go.touch()
        gateway.wait_for_job()
        wait_for(lambda: _in_state(gateway, job.id, "SUCCESS"))
        assert "40%" not in gateway.penstock("jobs").stdout


def _in_state(gateway: Gateway, task: str, state: str) -> dict[str, Any]:
    row: dict[str, Any] = rows(gateway).get(task, {})
    return row if row.get("state") == state else {}


def test_the_files_of_a_result_are_listed_and_copied(tmp_path: Path) -> None:
    script = (
        'cd "$MONAI_OUTPUTPATH"; mkdir report; echo 1 > report/volume.json; ln -s /etc/passwd p;'
        ' cp "$MONAI_INPUTPATH"/* .'
    )
    pipelines = {"measures": shell(script)}
    with Gateway(tmp_path, ae_titles=titles(pipelines), pipelines=pipelines) as gateway:
        gateway.storescu(CT, called="MEASURES")
        job = gateway.wait_for_job()
        listed = gateway.penstock("jobs", "files", job.id)
        assert "report/volume.json" in listed.stdout
        assert "passwd" not in listed.stdout
        copied = tmp_path / "copied"
        done = gateway.penstock("jobs", "files", job.id, "--copy-to", str(copied))
        assert done.returncode == 0, done.stderr
        assert (copied / "report" / "volume.json").read_text() == "1\n"
        (instance,) = copied.glob("*.dcm")
        (received,) = gateway.tree.deliveries.glob("*/*.dcm")
        assert instance.read_bytes() == received.read_bytes()
        assert len(list(copied.iterdir())) == 2
        again = gateway.penstock("jobs", "files", job.id, "--copy-to", str(copied))
        assert again.returncode == 2


@pytest.mark.parametrize("words", [["nonsense"], ["--json", "nonsense"]])
def test_a_job_that_is_not_there_has_no_files(tmp_path: Path, words: list[str]) -> None:
    with Gateway(tmp_path, ()) as gateway:
        assert gateway.penstock("jobs", "files", *words).returncode == 1
