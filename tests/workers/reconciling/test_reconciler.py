import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.delivery import DELIVERY_FILE
from shared.destination_state import DestinationState
from shared.job import STATE_FILE, Job
from shared.job_folder import JobFolder
from shared.job_state import JobState
from shared.job_steps import export_step
from shared.registry import keys
from shared.registry.step import Queue, StepEnd
from shared.registry.views import find_job, list_jobs
from tests.workers.pacs import Pacs
from tests.workers.site import Given, Site
from workers.context import WorkerContext
from workers.reconciling.catch_up import catch_up
from workers.reconciling.reconciler import Reconciler
from workers.steps.outcome import Done, Failed

INSTANCE = Given("1.2.3")


@pytest.fixture
def site(make_site: Callable[..., Site], pacs: Pacs) -> Site:
    """Two pipelines: one forwards to two destinations, one always fails."""
    return make_site(
        ae_titles=[
            {"title": "BRAIN", "pipeline": "keep", "priority": "stat"},
            {"title": "BAD", "pipeline": "fail"},
        ],
        pipelines={
            "keep": {"kind": "forward", "export_to": ["PACS", "OTHER"]},
            "fail": {"kind": "command", "command": ["false"], "max_attempts": 1},
        },
        destinations={"PACS": pacs.section, "OTHER": pacs.section},
    )


def empty_redis(site: Site) -> None:
    site.redis.flushall()
    site.gate.open()


def reconcile(site: Site) -> Reconciler:
    reconciler = Reconciler(site.context)
    reconciler.tick()
    return reconciler


def test_a_committed_folder_without_a_step_gets_one(site: Site) -> None:
    delivery_id = site.commit(INSTANCE)
    reconcile(site)
    assert site.steps() == {delivery_id: "waiting"}
    assert site.redis.hget(keys.STEP + delivery_id, "priority") == "0"  # stat
    assert site.dispatch(delivery_id) == Done()


def test_a_step_that_is_there_is_left_alone(site: Site) -> None:
    delivery_id = site.commit(INSTANCE)
    reconcile(site)
    before = site.redis.hgetall(keys.STEP + delivery_id)
    reconcile(site)
    assert site.redis.hgetall(keys.STEP + delivery_id) == before


def test_what_waits_is_called_up_where_there_is_a_place(site: Site) -> None:
    site.commit(INSTANCE)
    site.gate.announce_places("tests", {Queue.DISPATCH: 1})
    reconcile(site)
    assert site.redis.llen(Queue.DISPATCH) == 1


def test_a_delivery_of_an_unknown_ae_title_is_dispatched_to_be_judged_there(site: Site) -> None:
    delivery_id = site.commit(INSTANCE, ae_title="GONE")
    reconcile(site)
    assert site.steps() == {delivery_id: "waiting"}


def test_a_delivery_whose_dispatch_was_cut_short_is_dispatched_again(site: Site) -> None:
    delivery_id = site.commit(INSTANCE)
    (site.tree.committed / delivery_id).rename(site.tree.deliveries / delivery_id)
    reconcile(site)
    assert site.steps() == {delivery_id: "waiting"}


def test_a_dispatched_delivery_is_not_dispatched_again(site: Site) -> None:
    job_id = site.dispatched(INSTANCE)
    empty_redis(site)
    reconcile(site)
    assert site.steps() == {job_id: "waiting"}


def test_a_committed_delivery_is_told_once_a_period(site: Site) -> None:
    delivery_id = site.commit(INSTANCE)
    reconciler = reconcile(site)
    site.redis.delete(keys.STEP + delivery_id)
    reconciler.tick()
    assert site.steps() == {}


def test_a_delivery_committed_later_is_told_at_the_next_tick(site: Site) -> None:
    reconciler = reconcile(site)
    delivery_id = site.commit(INSTANCE)
    reconciler.tick()
    assert site.steps() == {delivery_id: "waiting"}


def site_with_jobs_in_every_state(site: Site, pacs: Pacs) -> dict[str, str]:
    """Job ids by what has become of the job."""
    queued = site.dispatched(INSTANCE)
    exporting = site.exporting(INSTANCE)
    half = site.exporting(INSTANCE)
    assert site.export(half, "PACS") == Done()
    done = site.exporting(INSTANCE)
    refused = site.exporting(INSTANCE)
    for name in ("PACS", "OTHER"):
        assert site.export(done, name) == Done()
        pacs.answer = lambda uid: 0xC000
        assert isinstance(site.export(refused, name), Failed)
        pacs.answer = lambda uid: 0x0000
    delivery_id = site.commit(INSTANCE, ae_title="BAD")
    site.dispatch(delivery_id)
    (failed,) = (job.id for job in site.jobs() if job.delivery == delivery_id)
    assert isinstance(site.run_pipeline(failed), Failed)
    cancelled = site.dispatched(INSTANCE)
    site.folder(cancelled).update(lambda job: job.model_copy(update={"cancelled": True}))
    return {
        "queued": queued,
        "exporting": exporting,
        "half": half,
        "done": done,
        "refused": refused,
        "failed": failed,
        "cancelled": cancelled,
    }


STATES = {
    "queued": JobState.QUEUED,
    "exporting": JobState.EXPORTING,
    "half": JobState.EXPORTING,
    "done": JobState.DONE,
    "refused": JobState.FAILED,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
}


def check_all_came_back(site: Site, jobs: dict[str, str]) -> None:
    views = {name: find_job(site.redis, job_id) for name, job_id in jobs.items()}
    assert {name: view.state for name, view in views.items()} == STATES
    assert views["failed"].reason == "exit code 1 (attempt 1 of 1)"
    ends = {name: end.state for name, end in views["half"].destinations.items()}
    assert ends == {"PACS": DestinationState.DELIVERED, "OTHER": DestinationState.PENDING}
    assert views["refused"].destinations["PACS"].state is DestinationState.FAILED
    assert len(list_jobs(site.redis)) == len(jobs)
    # Nothing that is finished is to be run or sent again.
    assert site.steps() == {
        jobs["queued"]: "waiting",
        f"{jobs['exporting']}.PACS": "waiting",
        f"{jobs['exporting']}.OTHER": "waiting",
        f"{jobs['half']}.OTHER": "waiting",
    }


def test_after_redis_was_emptied_all_jobs_come_back_as_the_disk_has_them(
    site: Site, pacs: Pacs
) -> None:
    jobs = site_with_jobs_in_every_state(site, pacs)
    empty_redis(site)
    reconcile(site)
    check_all_came_back(site, jobs)


def test_a_reconciler_that_lives_on_notices_that_redis_was_emptied(
    make_site: Callable[..., Site], site: Site, pacs: Pacs
) -> None:
    jobs = site_with_jobs_in_every_state(site, pacs)
    reconciler = reconcile(site)
    site.redis.flushall()
    # The gate says that its server is new as soon as anybody asks it to admit something.
    site.gate.grant(Queue.DISPATCH)
    reconciler._looked = float("-inf")  # a period later
    reconciler.tick()
    check_all_came_back(site, jobs)


def test_what_came_back_goes_on_where_it_stood(site: Site, pacs: Pacs) -> None:
    jobs = site_with_jobs_in_every_state(site, pacs)
    empty_redis(site)
    reconcile(site)
    pacs.forget()
    assert site.run_pipeline(jobs["queued"]) == Done()
    assert site.export(jobs["half"], "OTHER") == Done()
    assert len(pacs.received) == 1
    assert find_job(site.redis, jobs["half"]).state is JobState.DONE


def test_a_record_that_lags_behind_the_disk_is_brought_up(site: Site, pacs: Pacs) -> None:
    job_id = site.exporting(INSTANCE)
    site.export(job_id, "PACS")
    end = site.folder(job_id).read().destinations["PACS"]
    site.folder(job_id).update(lambda job: job.with_destination("OTHER", end))
    reconcile(site)
    view = find_job(site.redis, job_id)
    assert view.state is JobState.DONE
    assert view.destinations["OTHER"].state is DestinationState.DELIVERED


def test_a_pipeline_that_is_to_be_tried_again_keeps_its_record(site: Site) -> None:
    job_id = site.dispatched(INSTANCE)
    site.context.records.move(job_id, JobState.RUNNING, "attempt 1 started", attempt=1)
    reconcile(site)
    assert find_job(site.redis, job_id).state is JobState.RUNNING


def done(site: Site) -> str:
    """A job that is at its end."""
    job_id = site.exporting(INSTANCE)
    for name in ("PACS", "OTHER"):
        assert site.export(job_id, name) == Done()
    return job_id


def look_again(reconciler: Reconciler) -> None:
    """A period later."""
    reconciler._looked = float("-inf")
    reconciler.tick()


@contextmanager
def looked_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The jobs whose state.json is read, and those of which Redis is told something."""
    read = JobFolder.read
    seen: list[str] = []

    def note_read(folder: JobFolder) -> Job:
        seen.append(f"read {folder.id}")
        return read(folder)

    def note_told(context: WorkerContext, folder: JobFolder) -> Job:
        seen.append(f"told {folder.id}")
        return catch_up(context, folder)

    with monkeypatch.context() as patch:
        patch.setattr(JobFolder, "read", note_read)
        patch.setattr("workers.reconciling.reconciler.catch_up", note_told)
        yield seen


def test_a_job_that_is_done_is_looked_at_once_and_redis_is_not_asked_for_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(site), done(site)
    with looked_at(monkeypatch) as seen:
        reconciler = reconcile(site)
        assert [what.split()[0] for what in seen] == ["read", "read"]
        seen.clear()
        for _ in range(4):
            before = calls(site)
            look_again(reconciler)
            assert calls(site) - before == 2  # is the server a new one; what is exported
        assert seen == []


def calls(site: Site) -> int:
    """What the server was asked so far, but for this."""
    stats = site.redis.info("commandstats")
    return sum(stat["calls"] for name, stat in stats.items() if name != "cmdstat_info")


def test_after_redis_was_emptied_of_jobs_that_are_done_it_is_told_of_each_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = done(site)
    reconciler = reconcile(site)
    empty_redis(site)
    with looked_at(monkeypatch) as seen:
        look_again(reconciler)
        look_again(reconciler)
    assert seen == [f"told {job_id}", f"read {job_id}"]
    assert find_job(site.redis, job_id).state is JobState.DONE


@pytest.mark.parametrize("change", [{"failure": "broken"}, {"held": True}, {"cancelled": True}])
def test_a_job_that_sleeps_is_looked_at_again_when_its_file_has_changed(
    site: Site, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    """Whoever changed it may have died before Redis was told."""
    job_id = site.dispatched(INSTANCE)
    folder = site.folder(job_id)
    awake = folder.read()
    folder.update(lambda job: job.model_copy(update=change))
    site.gate.withdraw(job_id)
    reconciler = reconcile(site)
    with looked_at(monkeypatch) as seen:
        look_again(reconciler)
    assert seen == []
    folder.update(lambda job: awake)
    look_again(reconciler)
    assert site.steps()[job_id] == "waiting"


def test_jobs_and_deliveries_that_come_between_two_looks_are_found(site: Site) -> None:
    reconciler = reconcile(site)
    for _ in range(4):
        job_id = site.dispatched(INSTANCE)
        cut_short = site.commit(INSTANCE)
        (site.tree.committed / cut_short).rename(site.tree.deliveries / cut_short)
        site.redis.delete(keys.STEP + job_id)
        look_again(reconciler)
        assert site.steps()[job_id] == site.steps()[cut_short] == "waiting"


def test_what_is_removed_is_forgotten(site: Site) -> None:
    job_id = done(site)
    delivery_id = site.folder(job_id).read().delivery
    reconciler = reconcile(site)
    site.folder(job_id).path.rename(site.tree.trash / job_id)
    (site.tree.deliveries / delivery_id).rename(site.tree.trash / delivery_id)
    look_again(reconciler)
    assert not reconciler._done | reconciler._dispatched


def test_damaged_records_do_not_keep_the_others_waiting(site: Site) -> None:
    damaged_delivery, delivery_id = site.commit(INSTANCE), site.commit(INSTANCE)
    damaged_job, job_id = site.dispatched(INSTANCE), site.dispatched(INSTANCE)
    (site.tree.committed / damaged_delivery / DELIVERY_FILE).write_text("{")
    (site.folder(damaged_job).path / STATE_FILE).write_text("{")
    site.redis.flushall()
    reconcile(site)
    # The damaged delivery's dispatch takes it to quarantine.
    assert site.steps() == dict.fromkeys((damaged_delivery, delivery_id, job_id), "waiting")


def test_a_damaged_job_is_said_once_and_goes_on_once_it_is_repaired(site: Site) -> None:
    job_id = site.dispatched(INSTANCE)
    path = site.folder(job_id).path / STATE_FILE
    whole = path.read_bytes()
    empty_redis(site)
    path.write_text("{")
    reconciler = Reconciler(site.context)
    with capture_logs() as lines:
        for _ in range(3):
            look_again(reconciler)
    said = [(line["event"], line["job"]) for line in lines if line["log_level"] == "error"]
    assert said == [("damaged state.json", job_id)]
    path.write_bytes(whole)
    look_again(reconciler)
    assert site.steps() == {job_id: "waiting"}


def test_other_things_in_the_folders_are_passed_over(site: Site) -> None:
    for folder in (site.tree.committed, site.tree.deliveries, site.tree.jobs):
        (folder / "lost+found").mkdir()
        (folder / ".DS_Store").write_text("")
    reconcile(site)
    assert site.steps() == {}


def test_a_job_that_is_being_made_is_passed_over(site: Site) -> None:
    job_id = site.dispatched(INSTANCE)
    (site.folder(job_id).path / STATE_FILE).unlink()
    empty_redis(site)
    reconcile(site)
    assert site.steps() == {}


def test_a_retry_is_not_hurried(site: Site) -> None:
    job_id = site.exporting(INSTANCE)
    run = site.start(export_step(site.folder(job_id).read(), "PACS"))
    site.gate.finish(run, StepEnd.RETRYING, delay=60)
    due = site.redis.zrange(keys.DUE + run.step.lane, 0, -1, withscores=True)
    assert len(due) == 1
    reconcile(site)
    assert site.redis.zrange(keys.DUE + run.step.lane, 0, -1, withscores=True) == due


def test_a_job_whose_folder_cannot_be_read_keeps_no_other_waiting(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = site.dispatched(Given("1.2.3")), site.dispatched(Given("1.2.4"))
    empty_redis(site)
    usual = JobFolder.read

    def read(folder: JobFolder) -> Job:
        if folder.id == bad:
            raise OSError(errno.EIO, "Input/output error")
        return usual(folder)

    monkeypatch.setattr(JobFolder, "read", read)
    with pytest.raises(OSError, match="Input/output"):
        Reconciler(site.context).tick()
    assert set(site.steps()) == {good}
