"""Steps that come to no end of their own, and records that cannot be read."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery.exceptions import Retry
from redis.exceptions import ConnectionError
from structlog.testing import capture_logs

from shared.announce import dispatch_step
from shared.delivery import DELIVERY_FILE
from shared.destination_state import DestinationState
from shared.job import STATE_FILE
from shared.job_state import JobState
from shared.job_steps import export_step, pipeline_step
from shared.locked_file import LockedFile
from shared.quarantine import read_quarantined
from shared.registry import keys
from shared.registry.held_up import held_up
from shared.registry.step import Queue, Step, StepEnd
from shared.registry.views import find_job, history
from shared.status import read_status
from tests.workers.pacs import Pacs
from tests.workers.site import Given, Site
from workers.attempts.pipeline_step import run_pipeline
from workers.context import WorkerContext
from workers.dispatching.dispatch import dispatch
from workers.exports.step import export
from workers.steps.lease import Lease
from workers.steps.outcome import Outcome, TryAgain
from workers.steps.step_runner import Body, StepFailedError, run_step

INSTANCES = (Given("1.2.3"), Given("1.2.4"))
GIVEN_UP = "given up: 3 runs of it broke off, the last by ZeroDivisionError"
DIED = "given up: 3 runs of it broke off"


@pytest.fixture
def site(make_site: Callable[..., Site], pacs: Pacs) -> Site:
    """Three tries."""
    return make_site(
        pipelines={"keep": {"kind": "forward", "export_to": ["PACS"]}},
        destinations={"PACS": pacs.section},
        workers={"max_step_attempts": 3},
    )


def breaking(context: WorkerContext, lease: Lease) -> Outcome:
    raise ZeroDivisionError


def unexpected(context: WorkerContext, lease: Lease) -> Outcome:
    pytest.fail("the body ran")


def attempt(site: Site, step: Step, body: Body) -> None:
    """One run of a step as a worker runs it, at once, whenever it is due."""
    site.redis.zadd(keys.DUE + step.lane, {step.id: 1}, xx=True)
    site.gate.submit(step)
    site.gate.announce_places("tests", dict.fromkeys(Queue, 100))
    (token,) = (grant.token for grant in site.gate.grant(step.queue) if grant.step_id == step.id)
    site.gate.announce_places("tests", dict.fromkeys(Queue, 0))
    run_step(site.context, body, step.id, token)


def breaks(site: Site, step: Step, times: int, body: Body = breaking) -> None:
    for _ in range(times):
        with pytest.raises(Retry):
            attempt(site, step, body)


def dies(site: Site, step: Step) -> None:
    """Its worker, during a run, and its lease runs out."""
    site.start(step)
    site.redis.zadd(keys.LEASES + step.lane, {step.id: 1})


def state(site: Site, step: Step) -> str:
    return site.steps()[step.id]


def check_failed(site: Site, job_id: str, reason: str) -> None:
    for found in (site.folder(job_id).read(), find_job(site.redis, job_id)):
        assert (found.state, found.reason) == (JobState.FAILED, reason)
    # And it stays so, with the server emptied too.
    site.redis.flushall()
    site.gate.open()
    site.reconcile()
    assert job_id not in site.steps()
    assert find_job(site.redis, job_id).state is JobState.FAILED


def test_a_pipeline_step_that_always_breaks_ends_with_its_job_failed(site: Site) -> None:
    step = pipeline_step(site.folder(site.dispatched(*INSTANCES)).read())
    breaks(site, step, 2)
    with pytest.raises(StepFailedError, match=GIVEN_UP), capture_logs() as lines:
        attempt(site, step, breaking)
    assert ("step given up", step.job) in [(line["event"], line.get("job")) for line in lines]
    assert state(site, step) == "failed"
    check_failed(site, step.job, GIVEN_UP)


def test_the_disk_is_told_before_redis(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    step = pipeline_step(site.folder(site.dispatched(*INSTANCES)).read())
    breaks(site, step, 2)

    def away(*_: object, **__: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("workers.steps.poison.advance", away)
        with pytest.raises(ConnectionError):
            attempt(site, step, breaking)
    assert find_job(site.redis, step.job).state is JobState.QUEUED
    site.reconcile()
    check_failed(site, step.job, GIVEN_UP)


def test_a_step_that_kills_its_worker_each_time_ends_the_same_way(site: Site) -> None:
    step = pipeline_step(site.folder(site.dispatched(*INSTANCES)).read())
    for _ in range(3):
        dies(site, step)
    with pytest.raises(StepFailedError, match=DIED):
        attempt(site, step, unexpected)
    check_failed(site, step.job, DIED)


def test_deaths_and_faults_are_counted_together_and_runs_that_end_well_are_not(site: Site) -> None:
    step = pipeline_step(site.folder(site.dispatched(*INSTANCES)).read())

    def foreseen(context: WorkerContext, lease: Lease) -> Outcome:
        return TryAgain(0, "not yet")

    breaks(site, step, 5, foreseen)
    dies(site, step)
    breaks(site, step, 2, foreseen)
    breaks(site, step, 1)
    breaks(site, step, 5, foreseen)
    with pytest.raises(StepFailedError):
        attempt(site, step, breaking)


def test_an_export_step_that_always_breaks_fails_and_what_was_sent_stays_counted(
    site: Site, pacs: Pacs
) -> None:
    job_id = site.exporting(*INSTANCES)
    step = export_step(site.folder(job_id).read(), "PACS")
    pacs.answer = lambda uid: 0x0000 if uid == "1.2.3" else 0xA700
    breaks(site, step, 1, export)
    breaks(site, step, 2)
    with pytest.raises(StepFailedError):
        attempt(site, step, breaking)
    end = site.folder(job_id).read().destinations["PACS"]
    assert (end.state, end.delivered, end.failed) == (DestinationState.FAILED, 1, 1)
    check_failed(site, job_id, f"PACS: {GIVEN_UP}")


def test_an_export_that_breaks_on_its_own_log_fails_too(site: Site) -> None:
    job_id = site.exporting(*INSTANCES)
    step = export_step(site.folder(job_id).read(), "PACS")
    (site.folder(job_id).path / "sent-PACS.log").write_bytes(b"\xff\xfe\n")
    breaks(site, step, 2, export)
    with pytest.raises(StepFailedError):
        attempt(site, step, export)
    assert site.folder(job_id).read().destinations["PACS"].failed == len(INSTANCES)


def check_quarantined(site: Site, delivery_id: str, reason: str) -> None:
    assert [path.name for path in site.tree.quarantine.iterdir()] == [delivery_id]
    assert not list(site.tree.committed.iterdir())
    assert not list(site.tree.deliveries.iterdir())
    written = read_quarantined(site.tree.quarantine / delivery_id)
    assert written is not None
    assert written.reason == reason


@pytest.mark.parametrize("place", ["committed", "deliveries"])
def test_a_dispatch_that_always_breaks_ends_in_quarantine(site: Site, place: str) -> None:
    delivery_id = site.commit(*INSTANCES)
    if place == "deliveries":
        (site.tree.committed / delivery_id).rename(site.tree.deliveries / delivery_id)
    step = dispatch_step(delivery_id, "normal")
    breaks(site, step, 2)
    with pytest.raises(StepFailedError), capture_logs() as lines:
        attempt(site, step, breaking)
    assert "delivery quarantined" in [line["event"] for line in lines]
    check_quarantined(site, delivery_id, GIVEN_UP)


def test_a_dispatch_that_kills_its_worker_each_time_ends_in_quarantine(site: Site) -> None:
    delivery_id = site.commit(*INSTANCES)
    for _ in range(3):
        dies(site, dispatch_step(delivery_id, "normal"))
    with pytest.raises(StepFailedError):
        attempt(site, dispatch_step(delivery_id, "normal"), unexpected)
    check_quarantined(site, delivery_id, DIED)


def test_a_delivery_is_not_quarantined_under_a_dispatch_that_still_lives(site: Site) -> None:
    delivery_id = site.commit(*INSTANCES)
    step = dispatch_step(delivery_id, "normal")
    for _ in range(3):
        dies(site, step)
    held = LockedFile.try_lock(site.tree.committed / delivery_id / "dispatch.lock")
    assert held is not None
    with held, pytest.raises(Retry):
        attempt(site, step, unexpected)
    with pytest.raises(StepFailedError):
        attempt(site, step, unexpected)
    check_quarantined(site, delivery_id, DIED)


def test_a_damaged_delivery_goes_to_quarantine_at_once(site: Site) -> None:
    delivery_id = site.commit(*INSTANCES)
    (site.tree.committed / delivery_id / DELIVERY_FILE).write_text("{")
    site.reconcile()
    assert state(site, dispatch_step(delivery_id, "normal")) == "waiting"
    with pytest.raises(StepFailedError):
        attempt(site, dispatch_step(delivery_id, "normal"), dispatch)
    check_quarantined(site, delivery_id, "its Delivery record on disk is damaged")


@pytest.mark.parametrize("body", [run_pipeline, export])
def test_a_step_whose_job_record_is_damaged_fails_at_once(site: Site, body: Body) -> None:
    job_id = site.exporting(*INSTANCES) if body is export else site.dispatched(*INSTANCES)
    job = site.folder(job_id).read()
    step = export_step(job, "PACS") if body is export else pipeline_step(job)
    (site.folder(job_id).path / STATE_FILE).write_text("{")
    with pytest.raises(StepFailedError, match=r"state\.json is damaged"):
        attempt(site, step, body)
    assert state(site, step) == "failed"
    assert find_job(site.redis, job_id).reason == "its state.json is damaged"
    assert (site.folder(job_id).path / STATE_FILE).read_text() == "{"  # for a person to repair


@pytest.mark.parametrize("body", [run_pipeline, export])
def test_a_step_whose_job_is_gone_ends_quietly_and_may_come_back(site: Site, body: Body) -> None:
    job_id = site.exporting(*INSTANCES) if body is export else site.dispatched(*INSTANCES)
    folder = site.folder(job_id)
    job = folder.read()
    step = export_step(job, "PACS") if body is export else pipeline_step(job)
    away = folder.path.rename(site.tree.trash / job_id)
    attempt(site, step, body)
    assert not folder.path.exists()
    away.rename(folder.path)  # the storage was not there, say
    assert site.gate.submit(step) == "waiting"


def test_a_job_that_goes_while_it_breaks_is_no_fault(site: Site) -> None:
    step = pipeline_step(site.folder(site.dispatched(*INSTANCES)).read())

    def goes(context: WorkerContext, lease: Lease) -> Outcome:
        site.folder(step.job).path.rename(site.tree.trash / step.job)
        raise FileNotFoundError

    attempt(site, step, goes)
    assert step.id not in site.steps()


@contextmanager
def away(folder: Path) -> Iterator[None]:
    aside = folder.rename(folder.with_suffix(".away"))
    yield
    aside.rename(folder)


def test_with_the_storage_away_a_step_waits_for_it_however_often(site: Site) -> None:
    step = pipeline_step(site.folder(site.dispatched(*INSTANCES)).read())
    with away(site.tree.jobs):
        breaks(site, step, 5, run_pipeline)
    attempt(site, step, run_pipeline)
    assert site.folder(step.job).read().state is JobState.EXPORTING


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), ConnectionError()]
)
def test_with_the_disk_full_or_redis_away_it_waits_too(site: Site, error: Exception) -> None:
    step = pipeline_step(site.folder(site.dispatched(*INSTANCES)).read())

    def body(context: WorkerContext, lease: Lease) -> Outcome:
        raise error

    breaks(site, step, 5, body)
    assert site.folder(step.job).read().state is JobState.QUEUED


def failing(context: WorkerContext, lease: Lease) -> Outcome:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_step_that_the_storage_holds_up_says_so_and_is_given_up_in_time(site: Site) -> None:
    step = pipeline_step(site.folder(site.dispatched(*INSTANCES)).read())
    breaks(site, step, 5, failing)
    (fault,) = (line for line in read_status(site.redis, None).faults if "holds steps up" in line)
    assert fault.startswith("the storage or a worker's machine holds steps up: 1, the first since")
    assert fault.endswith(": Input/output error")
    job = find_job(site.redis, step.job)
    assert (job.state, job.reason) == (JobState.QUEUED, "Input/output error")
    assert job.retry_at is not None
    assert history(site.redis, step.job)[-1].what == "held up"
    site.redis.zincrby(keys.HELD_UP, -86_400_000, step.id)  # a day passes
    with pytest.raises(StepFailedError):
        attempt(site, step, failing)
    assert site.folder(step.job).read().failure == "given up after 1d: Input/output error"
    assert held_up(site.redis).steps == 0


def test_once_the_storage_is_well_again_nothing_is_held_up(site: Site) -> None:
    ways_out: list[Callable[[Step], object]] = [
        lambda step: attempt(site, step, run_pipeline),
        lambda step: site.gate.withdraw(step.id),
        lambda step: site.gate.forget(step.id),
    ]
    for way_out in ways_out:
        step = pipeline_step(site.folder(site.dispatched(*INSTANCES)).read())
        breaks(site, step, 1, failing)
        assert held_up(site.redis).steps == 1
        way_out(step)
        assert held_up(site.redis).steps == 0


def test_where_it_cannot_be_written_that_a_step_is_given_up_it_is_tried_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = pipeline_step(site.folder(site.dispatched(*INSTANCES)).read())
    breaks(site, step, 2)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("shared.durable.write_file", full)
        breaks(site, step, 2)
    assert site.folder(step.job).read().state is JobState.QUEUED
    with pytest.raises(StepFailedError):
        attempt(site, step, unexpected)
    assert site.folder(step.job).read().failure == DIED


def test_a_pipeline_that_was_through_is_not_failed_by_a_fault_after_it(site: Site) -> None:
    step = pipeline_step(site.folder(site.dispatched(*INSTANCES)).read())

    def after(context: WorkerContext, lease: Lease) -> Outcome:
        run_pipeline(context, lease)
        raise ZeroDivisionError

    breaks(site, step, 2, after)
    with pytest.raises(StepFailedError):
        attempt(site, step, after)
    job = site.folder(step.job).read()
    assert job.state is JobState.EXPORTING
    assert site.gate.submit(export_step(job, "PACS")) == "waiting"


def test_a_step_that_was_given_up_begins_with_a_clean_slate_when_retried(site: Site) -> None:
    step = pipeline_step(site.folder(site.dispatched(*INSTANCES)).read())
    breaks(site, step, 2)
    with pytest.raises(StepFailedError):
        attempt(site, step, breaking)
    site.gate.withdraw(step.id)
    run = site.start(step)
    assert (run.attempt, run.breaks) == (1, 1)
    site.gate.finish(run, StepEnd.DONE)
