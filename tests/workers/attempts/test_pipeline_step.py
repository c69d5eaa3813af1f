import contextlib
import errno
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from shared.acts import JobActs
from shared.job import Result
from shared.job_state import JobState
from shared.job_steps import pipeline_step
from shared.registry import keys
from shared.registry.step import Queue
from shared.registry.views import JobView, find_job, history
from shared.result_files import result_files
from tests.support.file_systems import needs_tmpfs, tmpfs
from tests.support.samples import data_set
from tests.support.waiting import wait_for
from tests.workers.faults import kills
from tests.workers.site import Given, MakeSite, Site
from workers.attempts.pipeline_step import run_pipeline
from workers.steps.lease import StoppingError
from workers.steps.outcome import Done, Failed, TryAgain

DESTINATION = {"ae_title": "PACS", "host": "127.0.0.1", "port": 104}
COUNT_RUNS = "echo run >> ../../../runs; "


@pytest.fixture
def make_job(make_site: MakeSite) -> Callable[..., tuple[Site, str]]:
    """A site whose pipeline is a line of shell, and a job of it; how often it ran is on disk."""

    def make(
        script: str, storage: dict[str, Any] | None = None, **options: Any
    ) -> tuple[Site, str]:
        pipeline = {
            "kind": "command",
            "command": ["sh", "-c", COUNT_RUNS + script],
            "max_attempts": 3,
            "export_to": ["PACS"],
        }
        site = make_site(
            storage=storage or {},
            pipelines={"keep": pipeline | options},
            destinations={"PACS": DESTINATION},
        )
        return site, site.dispatched(Given("1.2.3"))

    return make


def runs(site: Site, job_id: str) -> int:
    path = site.folder(job_id).path / "runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


def view(site: Site, job_id: str) -> JobView:
    return find_job(site.redis, job_id)


def test_a_success_is_the_jobs_result_and_its_exports_wait(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("true")
    assert site.run_pipeline(job_id) == Done()
    job = site.folder(job_id).read()
    assert job.result == Result(attempt=1, folder="attempts/1/output")
    assert job.state is JobState.EXPORTING
    assert view(site, job_id).state is JobState.EXPORTING
    assert site.steps()[f"{job_id}.PACS"] == "waiting"


def test_while_it_runs_the_record_says_so(make_job: Callable[..., tuple[Site, str]]) -> None:
    site, job_id = make_job("true")
    site.run_pipeline(job_id)
    lines = [(line.state, line.what) for line in history(site.redis, job_id)][1:]
    assert lines == [("running", "attempt 1 started"), ("exporting", "attempt 1 succeeded")]
    assert view(site, job_id).attempt == 1


def test_without_destinations_a_success_is_the_end(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("true", export_to=[])
    site.run_pipeline(job_id)
    assert site.folder(job_id).read().state is JobState.DONE
    assert view(site, job_id).state is JobState.DONE


def test_failing_as_often_as_it_may_the_job_is_failed_with_its_reason(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("exit 7")
    for number in (1, 2):
        outcome = site.run_pipeline(job_id)
        assert isinstance(outcome, TryAgain)
        assert outcome.reason == "exit code 7"
        assert site.folder(job_id).attempts() == number
        assert view(site, job_id).state is JobState.QUEUED
        assert view(site, job_id).reason == "exit code 7"
        assert view(site, job_id).retry_at is not None
    reason = "exit code 7 (attempt 3 of 3)"
    assert site.run_pipeline(job_id) == Failed(reason)
    job = site.folder(job_id).read()
    assert (job.state, job.failure) == (JobState.FAILED, reason)
    assert (view(site, job_id).state, view(site, job_id).reason) == (JobState.FAILED, reason)
    assert site.steps()[job_id] == "failed"
    assert runs(site, job_id) == 3


def test_each_delay_between_attempts_is_at_most_twice_as_long(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("exit 1", max_attempts=10)
    for bound in (5, 10, 20):
        outcome = site.run_pipeline(job_id)
        assert isinstance(outcome, TryAgain)
        assert 0 <= outcome.delay <= bound


def test_a_second_attempt_may_succeed_and_only_its_own_output_counts(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    script = 'echo $$ > "$MONAI_OUTPUTPATH/made"; [ "$(wc -l < ../../../runs)" = 2 ]'
    site, job_id = make_job(script)
    assert isinstance(site.run_pipeline(job_id), TryAgain)
    assert site.run_pipeline(job_id) == Done()
    folder = site.folder(job_id)
    assert folder.read().result == Result(attempt=2, folder="attempts/2/output")
    first, second = (folder.path / f"attempts/{n}/output/made" for n in (1, 2))
    assert first.read_text() != second.read_text()


def test_a_job_that_is_through_is_not_run_again(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("true")
    run = site.start(pipeline_step(site.folder(job_id).read()))
    with site.lease(run) as lease:
        assert run_pipeline(site.context, lease) == Done()
        job = site.folder(job_id).read()
        assert run_pipeline(site.context, lease) == Done()
    assert runs(site, job_id) == 1
    assert site.folder(job_id).read() == job


def test_while_the_lock_is_held_it_waits_and_that_is_no_attempt(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("true")
    lock = site.folder(job_id).try_run_lock()
    assert lock is not None
    with lock:
        outcome = site.run_pipeline(job_id)
        assert isinstance(outcome, TryAgain)
        assert not outcome.counted
        assert runs(site, job_id) == site.folder(job_id).attempts() == 0
    assert site.run_pipeline(job_id) == Done()
    assert runs(site, job_id) == 1


def test_the_lock_is_free_after_a_run(make_job: Callable[..., tuple[Site, str]]) -> None:
    site, job_id = make_job("exit 1")
    site.run_pipeline(job_id)
    lock = site.folder(job_id).try_run_lock()
    assert lock is not None
    lock.close()


def test_an_attempt_interrupted_by_a_stopping_worker_does_not_count(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("sleep 60", max_attempts=1)
    site.context.stopping.set()
    with pytest.raises(StoppingError):
        site.run_pipeline(job_id)
    folder = site.folder(job_id)
    assert folder.attempts() == 0
    assert view(site, job_id).state is JobState.QUEUED
    assert [path.name for path in (folder.path / "attempts").iterdir()] == ["1.interrupted"]


def test_attempts_lost_with_their_workers_count(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("true", max_attempts=2)
    folder = site.folder(job_id)
    folder.new_attempt()
    folder.new_attempt()
    outcome = site.run_pipeline(job_id)
    assert outcome == Failed("the last attempt was lost with its worker")
    assert folder.read().state is JobState.FAILED
    assert runs(site, job_id) == 0


def test_a_pipeline_that_left_the_settings_fails_the_job_with_that_reason(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("true")
    job = site.folder(job_id).update(lambda job: job.model_copy(update={"pipeline": "gone"}))
    outcome = site.run_pipeline(job_id)
    assert outcome == Failed("no pipeline is named 'gone' any more")
    assert site.folder(job_id).read().failure == outcome.reason
    assert job.state is JobState.QUEUED
    assert runs(site, job_id) == 0


def test_a_pipeline_that_is_new_in_the_settings_is_found_there(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("false")
    site.configure(
        ae_titles=[{"title": "BRAIN", "pipeline": "new"}], pipelines={"new": {"kind": "forward"}}
    )
    site.folder(job_id).update(lambda job: job.model_copy(update={"pipeline": "new"}))
    assert site.run_pipeline(job_id) == Done()


def test_the_exports_of_a_success_are_called_up_at_once(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("true")
    run = site.start(pipeline_step(site.folder(job_id).read()))
    site.gate.announce_places("tests", {Queue.EXPORT: 1})
    with site.lease(run) as lease:
        run_pipeline(site.context, lease)
    assert site.redis.llen(Queue.EXPORT) == 1


def test_killed_after_any_write_and_run_again_the_job_goes_on_with_one_result(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    """Where it was killed after its program ended, the program runs again: at least once."""
    site, _ = make_job('touch "$MONAI_OUTPUTPATH/made"')
    for kill in kills(least=8):
        site.empty()
        job_id = site.dispatched(Given("1.2.3"))
        with site.lease(site.start(pipeline_step(site.folder(job_id).read()))) as lease:
            with kill:
                run_pipeline(site.context, lease)
            assert run_pipeline(site.context, lease) == Done()
        job = site.folder(job_id).read()
        assert job.result is not None
        assert (site.folder(job_id).path / job.result.folder / "made").exists()
        assert 1 <= runs(site, job_id) <= 2
        assert view(site, job_id).state is JobState.EXPORTING
        assert site.steps()[f"{job_id}.PACS"] == "waiting"


# Not now


def test_not_now_is_tried_again_without_using_up_an_attempt_and_keeps_one_folder(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("echo out of licences; exit 75", max_attempts=1)
    for number in (1, 2, 3):
        outcome = site.run_pipeline(job_id)
        assert isinstance(outcome, TryAgain)
        assert outcome.reason == "exit code 75"
        assert [path.name for path in attempts(site, job_id)] == [f"{number}.not-now"]
        assert view(site, job_id).state is JobState.QUEUED
        assert view(site, job_id).retry_at is not None
    assert runs(site, job_id) == 3


def attempts(site: Site, job_id: str) -> list[Path]:
    return sorted((site.folder(job_id).path / "attempts").iterdir())


def test_not_now_for_too_long_fails_the_job_and_a_persons_retry_begins_anew(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("exit 75", give_up_after="1h")
    assert isinstance(site.run_pipeline(job_id), TryAgain)
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    site.folder(job_id).update(lambda job: job.model_copy(update={"put_off": long_ago}))
    outcome = site.run_pipeline(job_id)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "given up after 7200 s: exit code 75"
    assert site.folder(job_id).read().state is JobState.FAILED
    JobActs(site.tree, site.gate, site.context.records, "tests").retry(job_id)
    assert isinstance(site.run_pipeline(job_id), TryAgain)


def test_where_only_a_tempfail_is_tried_again_another_end_fails_the_job_at_once(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("exit 1", retry="tempfail")
    assert site.run_pipeline(job_id) == Failed("exit code 1")
    assert runs(site, job_id) == 1


# What it leaves


def test_a_result_that_is_no_dicom_file_fails_the_job_with_its_name(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job('echo no > "$MONAI_OUTPUTPATH/1.2.3.4.dcm"')
    outcome = site.run_pipeline(job_id)
    reason = "1.2.3.4.dcm is not a DICOM file: there is no DICM prefix after the preamble"
    assert outcome == Failed(reason)
    assert site.folder(job_id).read().failure == view(site, job_id).reason == reason
    assert runs(site, job_id) == 1


def test_its_name_is_on_disk_only_where_it_could_name_a_patient(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job('cd "$MONAI_OUTPUTPATH"; echo no > DOE^JOHN.dcm; echo no > b.dcm')
    outcome = site.run_pipeline(job_id)
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("a file named *.dcm is not a DICOM file: ")
    assert outcome.reason.endswith(", and 1 more")
    printed = site.folder(job_id).path / "attempts/1/work/output.log"
    assert "attempts/1/output/DOE^JOHN.dcm is not a DICOM file" in printed.read_text()
    assert not [key for key in dump(site) if b"DOE" in key]


def dump(site: Site) -> list[bytes]:
    """Everything that Redis has."""
    found = (site.redis.dump(key) for key in site.redis.scan_iter())
    return [each for each in found if each is not None]


def test_other_files_are_kept_with_the_result(make_job: Callable[..., tuple[Site, str]]) -> None:
    site, job_id = make_job('cp "$MONAI_INPUTPATH"/* report.json "$MONAI_OUTPUTPATH"; true')
    assert site.run_pipeline(job_id) == Done()


def test_what_a_program_writes_outside_its_folders_is_no_result(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job(
        'cp "$MONAI_INPUTPATH"/* "$MONAI_OUTPUTPATH"; cd ../..; mkdir -p 7/output output;'
        " for place in 1 7/output output . ..; do echo stray > $place/stray.dcm; done"
    )
    assert site.run_pipeline(job_id) == Done()
    folder = site.folder(job_id)
    assert folder.read().result == Result(attempt=1, folder="attempts/1/output")
    names = {path.name for path in result_files(folder.path / "attempts/1/output")}
    assert names == {"1.2.3.dcm"}


def test_a_link_out_of_the_output_is_not_exported_as_a_result(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job('ln -s "$MONAI_INPUTPATH/1.2.3.dcm" "$MONAI_OUTPUTPATH/1.2.3.4.dcm"')
    assert site.run_pipeline(job_id) == Failed(
        "1.2.3.4.dcm is not a DICOM file: it is a symbolic link"
    )


# How far it is


def test_how_far_it_is_stands_in_the_record_while_it_runs_and_its_words_do_not(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    wait = "until [ -e ../../../go ]; do sleep 0.02; done"
    site, job_id = make_job(f"echo PENSTOCK_PROGRESS 0.4 DOE^JOHN; {wait}")
    run = threading.Thread(target=site.run_pipeline, args=(job_id,))
    run.start()
    wait_for(lambda: view(site, job_id).progress == 0.4)
    assert not [key for key in dump(site) if b"DOE" in key]
    (site.folder(job_id).path / "go").touch()
    run.join()
    assert view(site, job_id).progress is None


# What a lost worker left


def test_a_lost_workers_program_is_ended_and_the_next_attempt_made(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    site, job_id = make_job("true")
    folder = site.folder(job_id)
    attempt, lock = folder.new_attempt(), folder.try_run_lock()
    assert lock is not None
    orphan = subprocess.Popen(
        ["sleep", "60"],
        env={"PENSTOCK_JOB_ID": job_id, "PENSTOCK_ATTEMPT": str(attempt.number)},
        pass_fds=[lock.descriptor],
    )
    lock.close()
    outcome = site.run_pipeline(job_id)
    assert isinstance(outcome, TryAgain)
    assert not outcome.counted
    assert orphan.wait(5) == -signal.SIGKILL
    assert site.run_pipeline(job_id) == Done()
    assert folder.read().result == Result(attempt=2, folder="attempts/2/output")


def test_while_its_worker_lives_a_program_is_left_alone(
    make_job: Callable[..., tuple[Site, str]],
) -> None:
    """Suspended or cut off, it may come back, and knows best how its program ends."""
    site, job_id = make_job("true")
    held = site.folder(job_id).try_worker_lock()
    assert held is not None
    marks = {"PENSTOCK_JOB_ID": job_id, "PENSTOCK_ATTEMPT": "1"}
    with held, subprocess.Popen(["sleep", "60"], env=marks) as program:
        outcome = site.run_pipeline(job_id)
        assert isinstance(outcome, TryAgain)
        assert outcome.reason == "an earlier attempt still runs"
        assert program.poll() is None
        program.kill()


# The disk is full


@needs_tmpfs
@pytest.mark.parametrize("reserve", [5, 0])
def test_a_program_that_fills_the_disk_fails_and_the_disk_has_room_again(
    make_job: Callable[..., tuple[Site, str]], tmp_path: Path, reserve: float
) -> None:
    with tmpfs(tmp_path / "data", "size=8m"):
        storage = {"reserve_gb": reserve}
        site, job_id = make_job("cat /dev/zero > big; exit 1", storage, max_attempts=2)
        free = site.tree.usage().free
        assert isinstance(site.run_pipeline(job_id), TryAgain)
        assert site.tree.usage().free > free - 200_000
        why = "exit code 1; what it wrote is removed, as the disk is under its reserve"
        assert site.run_pipeline(job_id) == Failed(f"{why} (attempt 2 of 2)")
        assert site.folder(job_id).read().state is JobState.FAILED
        kept = site.folder(job_id).path.glob("attempts/*/work/*")
        assert {path.name for path in kept} == {"output.log"}


def fill(path: Path) -> None:
    """Takes all the room that there is."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


@needs_tmpfs
def test_a_disk_that_is_full_without_it_is_no_fault_of_a_program(
    make_job: Callable[..., tuple[Site, str]], tmp_path: Path
) -> None:
    """And one attempt after the other is not used up on it."""
    with tmpfs(tmp_path / "data", "size=8m"):
        site, job_id = make_job("cat /dev/zero > big && exit 1", max_attempts=1)
        filler = site.tree.root / "filler"
        fill(filler)
        for _ in range(4):
            with pytest.raises(OSError, match="No space left on device"):
                site.run_pipeline(job_id)
            lapse(site, job_id)
        folder = site.folder(job_id)
        assert folder.attempts() == 0
        assert len(list((folder.path / "attempts").iterdir())) <= 1
        filler.unlink()
        assert isinstance(site.run_pipeline(job_id), Failed)  # now it is the program's
        assert folder.read().failure.startswith("exit code 1")


def lapse(site: Site, job_id: str) -> None:
    """Its run is over, and the step waits again."""
    lane = pipeline_step(site.folder(job_id).read()).lane
    site.redis.zadd(keys.LEASES + lane, {job_id: 1}, xx=True)


@pytest.mark.parametrize("full", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_whatever_of_an_attempt_the_disk_does_not_take_it_is_made_again_and_was_none(
    make_job: Callable[..., tuple[Site, str]], monkeypatch: pytest.MonkeyPatch, full: int
) -> None:
    site, _ = make_job('cp "$MONAI_INPUTPATH"/* "$MONAI_OUTPUTPATH"', max_attempts=1)
    for fails_at in count(1):
        job_id = site.dispatched(Given("1.2.3"))
        disk = Disk(fails_at, full)
        with monkeypatch.context() as patch:
            for owner, name in DISK_WRITES:
                patch.setattr(owner, name, disk.failing(getattr(owner, name)))
            with contextlib.suppress(OSError):
                site.run_pipeline(job_id)
        lapse(site, job_id)
        job = site.folder(job_id).read()
        assert not job.failure
        if not disk.failed:
            assert fails_at > 8
            return
        if job.result is None:
            assert site.folder(job_id).attempts() == 0
            assert site.run_pipeline(job_id) == Done()


DISK_WRITES = [(os, name) for name in ("mkdir", "link", "fsync", "rename")]


class Disk:
    """One of its writes fails."""

    def __init__(self, fails_at: int, error: int) -> None:
        self.failed = False
        self._error = error
        self._left = fails_at

    def failing(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                self.failed = True
                raise OSError(self._error, os.strerror(self._error))
            return write(*args, **options)

        return wrapped


@needs_tmpfs
def test_without_room_for_its_input_a_job_waits_and_says_so(
    make_job: Callable[..., tuple[Site, str]], tmp_path: Path
) -> None:
    with tmpfs(tmp_path / "data", "size=8m"):
        site, _ = make_job("true", input="copy", max_attempts=1)
        job_id = site.dispatched(Given("1.2.3", data_set(3_000_000)))
        filler = site.tree.root / "filler"
        fill(filler)
        os.truncate(filler, filler.stat().st_size - 2_000_000)
        outcome = site.run_pipeline(job_id)
        assert isinstance(outcome, TryAgain)
        assert "the input could not be laid out: No space left on device" in outcome.reason
        filler.unlink()
        assert site.run_pipeline(job_id) == Done()
