"""After Redis was lost, or came back as it was long ago: all at once what the disk has."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from shared.delivery import DELIVERY_FILE
from shared.destination_state import DestinationState
from shared.job import STATE_FILE
from shared.job_state import JobState
from shared.job_steps import pipeline_step
from shared.registry.step import StepEnd
from shared.registry.views import UnknownJobError, find_job, list_jobs
from tests.workers.faults import kills
from tests.workers.pacs import Pacs
from tests.workers.reconciling.test_reconciler import (
    STATES,
    empty_redis,
    site_with_jobs_in_every_state,
)
from tests.workers.site import Given, Site
from workers.reconciling.recover import Recovered, StorageAwayError, recover
from workers.steps.outcome import Done, Failed

INSTANCE = Given("1.2.3")


@pytest.fixture
def site(make_site: Callable[..., Site], pacs: Pacs) -> Site:
    """Two pipelines: one forwards to two destinations, one always fails."""
    return make_site(
        ae_titles=[{"title": "BRAIN", "pipeline": "keep"}, {"title": "BAD", "pipeline": "fail"}],
        pipelines={
            "keep": {"kind": "forward", "export_to": ["PACS", "OTHER"]},
            "fail": {"kind": "command", "command": ["false"], "max_attempts": 1},
        },
        destinations={"PACS": pacs.section, "OTHER": pacs.section},
    )


class Backup:
    """All that Redis holds, to be put back later."""

    def __init__(self, site: Site) -> None:
        self._site = site
        names = site.redis.keys("*")
        raw = site.redis.connection_pool.connection_kwargs | {"decode_responses": False}
        self._client = type(site.redis)(**{k: raw[k] for k in ("host", "port")})
        self._kept = {name: self._client.dump(name) for name in names}

    def restore(self) -> None:
        self._site.redis.flushall()
        for name, value in self._kept.items():
            self._client.restore(name, 0, value)


def states(site: Site, jobs: dict[str, str]) -> dict[str, JobState]:
    return {name: find_job(site.redis, job_id).state for name, job_id in jobs.items()}


def to_do(site: Site) -> dict[str, str]:
    return {step: state for step, state in site.steps().items() if state != "withdrawn"}


def test_an_emptied_redis_holds_all_again_and_nothing_finished_is_to_be_done(
    site: Site, pacs: Pacs
) -> None:
    jobs = site_with_jobs_in_every_state(site, pacs)
    committed = site.commit(INSTANCE)
    halfway = site.commit(INSTANCE)
    (site.tree.committed / halfway).rename(site.tree.deliveries / halfway)
    empty_redis(site)
    found = recover(site.context)
    assert found == Recovered(jobs=len(jobs), made=len(jobs), deliveries=2)
    assert states(site, jobs) == STATES
    assert find_job(site.redis, jobs["failed"]).reason == "exit code 1 (attempt 1 of 1)"
    ends = find_job(site.redis, jobs["half"]).destinations
    assert ends["PACS"].state is DestinationState.DELIVERED
    assert ends["OTHER"].state is DestinationState.PENDING
    assert to_do(site) == {
        committed: "waiting",
        halfway: "waiting",
        jobs["queued"]: "waiting",
        f"{jobs['exporting']}.PACS": "waiting",
        f"{jobs['exporting']}.OTHER": "waiting",
        f"{jobs['half']}.OTHER": "waiting",
    }


def test_done_again_it_changes_nothing(site: Site, pacs: Pacs) -> None:
    jobs = site_with_jobs_in_every_state(site, pacs)
    empty_redis(site)
    recover(site.context)
    before = Backup(site)._kept
    assert recover(site.context) == Recovered(jobs=len(jobs))
    assert set(Backup(site)._kept) == set(before)


def test_where_nothing_was_lost_nothing_is_changed(site: Site, pacs: Pacs) -> None:
    jobs = site_with_jobs_in_every_state(site, pacs)
    cancelled = site.folder(jobs["cancelled"]).read()
    site.context.records.move(cancelled.id, JobState.CANCELLED)
    views = list_jobs(site.redis)
    assert recover(site.context) == Recovered(jobs=len(jobs))
    assert [view.state for view in list_jobs(site.redis)] == [view.state for view in views]


def test_a_record_from_an_old_backup_is_made_to_say_what_the_disk_says(site: Site) -> None:
    """It failed, the backup was made, and then a retry brought it to its end."""
    job_id = site.dispatched(INSTANCE)
    folder = site.folder(job_id)
    failed = folder.update(lambda job: job.model_copy(update={"failure": "no luck"}))
    run = site.start(pipeline_step(failed))
    site.gate.finish(run, StepEnd.FAILED)
    site.context.records.move(job_id, JobState.FAILED, reason="no luck")
    backup = Backup(site)
    folder.update(lambda job: job.model_copy(update={"failure": "", "ended": None}))
    site.gate.withdraw(job_id)
    assert site.run_pipeline(job_id) == Done()
    for name in ("PACS", "OTHER"):
        assert site.export(job_id, name) == Done()
    backup.restore()
    assert find_job(site.redis, job_id).state is JobState.FAILED
    assert recover(site.context) == Recovered(jobs=1, corrected=1)
    view = find_job(site.redis, job_id)
    assert (view.state, view.reason) == (JobState.DONE, "")
    assert {end.state for end in view.destinations.values()} == {DestinationState.DELIVERED}
    assert len(list_jobs(site.redis, state=JobState.FAILED)) == 0


def test_a_step_that_an_old_backup_says_has_ended_is_run_if_the_disk_owes_it(site: Site) -> None:
    delivery_id = site.commit(INSTANCE, ae_title="BAD")
    site.dispatch(delivery_id)
    (job,) = site.jobs()
    assert isinstance(site.run_pipeline(job.id), Failed)
    backup = Backup(site)
    change = {"failure": "", "ended": None}
    site.folder(job.id).update(lambda job: job.model_copy(update=change))
    backup.restore()
    site.gate.open()
    assert recover(site.context) == Recovered(jobs=1, corrected=1)
    assert site.steps()[job.id] == "waiting"
    assert find_job(site.redis, job.id).state is JobState.QUEUED


def test_what_an_old_backup_has_of_jobs_that_are_gone_is_dropped(site: Site) -> None:
    retrying, queued = site.dispatched(INSTANCE), site.dispatched(INSTANCE)
    exporting, stays = site.exporting(INSTANCE), site.dispatched(INSTANCE)
    gone_delivery = site.commit(INSTANCE)
    empty_redis(site)
    recover(site.context)
    run = site.start(pipeline_step(site.folder(retrying).read()))
    empty_redis(site)
    assert site.gate.finish(run, StepEnd.RETRYING, delay=3600)
    recover(site.context)
    assert sorted(site.steps().values()) == ["retrying", *["waiting"] * 5]
    for job_id in (retrying, queued, exporting):
        shutil.rmtree(site.folder(job_id).path)
    shutil.rmtree(site.tree.committed / gone_delivery)
    assert recover(site.context) == Recovered(jobs=1, removed=3, forgotten=5)
    assert [view.id for view in list_jobs(site.redis)] == [stays]
    assert site.steps() == {stays: "waiting"}
    with pytest.raises(UnknownJobError):
        find_job(site.redis, queued)


def test_a_pipeline_that_runs_is_left_to_the_gate(site: Site) -> None:
    job_id = site.dispatched(INSTANCE)
    run = site.start(pipeline_step(site.folder(job_id).read()))
    site.context.records.move(job_id, JobState.RUNNING, "attempt 1 started", attempt=1)
    assert recover(site.context) == Recovered(jobs=1)
    assert find_job(site.redis, job_id).state is JobState.RUNNING
    assert site.gate.finish(run, StepEnd.DONE)


def test_without_a_storage_tree_nothing_is_changed(site: Site) -> None:
    job_id = site.dispatched(INSTANCE)
    site.tree.jobs.rename(site.tree.root / "elsewhere")
    with pytest.raises(StorageAwayError):
        recover(site.context)
    assert find_job(site.redis, job_id)


def test_damaged_records_are_named_and_kept_and_the_others_come_back(site: Site) -> None:
    damaged, whole = site.dispatched(INSTANCE), site.dispatched(INSTANCE)
    delivery_id = site.commit(INSTANCE)
    (site.folder(damaged).path / STATE_FILE).write_text("{")
    (site.tree.committed / delivery_id / DELIVERY_FILE).write_text("{")
    empty_redis(site)
    found = recover(site.context)
    assert found.damaged == [f"jobs/{damaged}", f"committed/{delivery_id}"]
    assert (found.jobs, found.made) == (1, 1)
    assert [view.id for view in list_jobs(site.redis)] == [whole]


def test_killed_after_any_write_a_second_run_brings_all_back(site: Site, pacs: Pacs) -> None:
    jobs = site_with_jobs_in_every_state(site, pacs)
    committed = site.commit(INSTANCE)
    for kill in kills(least=10):
        empty_redis(site)
        with kill:
            recover(site.context)
        recover(site.context)
        assert states(site, jobs) == STATES
        assert len(to_do(site)) == 5
        assert to_do(site)[committed] == "waiting"


def test_it_says_how_far_it_is(site: Site) -> None:
    for _ in range(3):
        site.dispatched(INSTANCE)
    said: list[tuple[Any, ...]] = []
    recover(site.context, lambda *words: said.append(words))
    assert [words for words in said if words[0] != "steps"] == [("jobs", 3, 3), ("records", 3, 3)]
    assert said[-1][0] == "steps"
