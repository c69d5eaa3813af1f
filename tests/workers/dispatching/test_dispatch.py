import multiprocessing
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.announce import dispatch_step
from shared.delivery import DELIVERY_FILE, read_delivery
from shared.ids import derived_id, new_id
from shared.job_state import JobState
from shared.locked_file import LockedFile
from shared.quarantine import QUARANTINE_FILE, read_quarantined
from shared.registry import keys
from shared.registry.step import Step
from shared.registry.views import find_job, history, list_jobs
from tests.support.samples import data_set_of, sample_file
from tests.workers.faults import Killer, kill_process, kills
from tests.workers.site import Given, Site
from workers.dispatching.dispatch import dispatch
from workers.dispatching.dispatched import DISPATCHED_FILE
from workers.dispatching.plan import PLAN_FILE, Plan
from workers.steps.lease import StoppingError
from workers.steps.outcome import Done, Outcome, TryAgain
from workers.steps.step_runner import run_step

TWO_PIPELINES: dict[str, Any] = {
    "ae_titles": [{"title": "BRAIN", "pipelines": ["one", "two"]}],
    "pipelines": {"one": {"kind": "forward"}, "two": {"kind": "forward"}},
}
INSTANCES = (Given("1.2.3"), Given("1.2.4"), Given("1.2.5"))


@pytest.fixture
def two(make_site: Callable[..., Site]) -> Site:
    """A site whose AE title has two pipelines."""
    return make_site(**TWO_PIPELINES)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def plan_of(site: Site, delivery_id: str) -> Plan:
    path = site.tree.deliveries / delivery_id / PLAN_FILE
    return Plan.model_validate_json(path.read_bytes())


def check_dispatched(site: Site, delivery_id: str, *pipelines: str) -> None:
    """The delivery has been taken over, and has these jobs and no other."""
    folder = site.tree.deliveries / delivery_id
    delivery = read_delivery(folder)
    assert names(site.tree.committed) == []
    assert (folder / DISPATCHED_FILE).exists()
    job_ids = sorted(derived_id(delivery_id, name) for name in pipelines)
    assert names(site.tree.jobs) == job_ids
    plan = plan_of(site, delivery_id)
    assert sorted(job.id for job in plan.jobs) == job_ids
    for job in plan.jobs:
        job_folder = site.folder(job.id)
        assert job_folder.read() == job
        assert names(job_folder.input) == sorted(each.file for each in delivery.instances)
        for path in job_folder.input.iterdir():
            assert path.samefile(folder / path.name)
        assert find_job(site.redis, job.id).state is JobState.QUEUED
    assert len(list_jobs(site.redis)) == len(job_ids)
    steps = {step: state for step, state in site.steps().items() if step != delivery_id}
    assert steps == dict.fromkeys(job_ids, "waiting")


def test_a_committed_delivery_becomes_a_job_for_each_pipeline(two: Site) -> None:
    delivery_id = two.commit(*INSTANCES)
    assert two.dispatch(delivery_id) == Done()
    check_dispatched(two, delivery_id, "one", "two")
    job = find_job(two.redis, derived_id(delivery_id, "one"))
    assert (job.instances, job.ae_title, job.calling_ae_title) == (3, "BRAIN", "CT01")
    assert [line.what for line in history(two.redis, job.id)] == ["dispatched, 3 instances"]


def test_the_instances_are_moved_as_they_are(site: Site) -> None:
    delivery_id = site.commit(*INSTANCES)
    committed = site.tree.committed / delivery_id
    before = {path.name: path.read_bytes() for path in committed.iterdir()}
    site.dispatch(delivery_id)
    folder = site.tree.deliveries / delivery_id
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_the_plan_has_what_the_headers_say(site: Site) -> None:
    path = sample_file("CT_small.dcm")
    delivery_id = site.commit(Given("1.2.3", data_set_of(path)))
    site.dispatch(delivery_id)
    (instance,) = plan_of(site, delivery_id).instances
    assert instance.headers.readable
    assert instance.headers.modality == "CT"


# Run again


def test_killed_after_any_write_and_run_again_it_makes_the_same_jobs(two: Site) -> None:
    for kill in kills(least=30):
        two.empty()
        delivery_id = two.commit(*INSTANCES)
        with two.lease(two.start(dispatch_step(delivery_id, "normal"))) as lease:
            with kill:
                dispatch(two.context, lease)
            if (two.tree.deliveries / delivery_id / DISPATCHED_FILE).exists():  # never too early
                check_dispatched(two, delivery_id, "one", "two")
            assert dispatch(two.context, lease) == Done()
        check_dispatched(two, delivery_id, "one", "two")


def in_a_process_of_its_own(call: Callable[[], None]) -> int | None:
    """The exit code; what it is told of files, locks and Redis connections ends with it."""
    process = multiprocessing.get_context("fork").Process(target=call)
    process.start()
    process.join(30)
    return process.exitcode


def work(site: Site, step: Step, token: str, killer: Killer) -> None:
    """As a worker runs it, from the message to what the gate is told of the end."""
    with killer:
        run_step(site.context, dispatch, step.id, token)


def granted(site: Site, step: Step) -> str:
    """The token of the step's next run; whoever had it before died long ago."""
    site.redis.zadd(keys.LEASES + step.lane, {step.id: 1}, xx=True)
    site.gate.submit(step)
    site.gate.announce_places("tests", {step.queue: 1})
    (grant,) = site.gate.grant(step.queue)
    site.gate.announce_places("tests", {step.queue: 0})
    return grant.token


def test_a_process_killed_after_any_write_leaves_what_the_next_makes_the_same_jobs_of(
    two: Site,
) -> None:
    for after in count(1):
        two.empty()
        step = dispatch_step(two.commit(*INSTANCES), "normal")
        mortal = partial(work, two, step, granted(two, step), Killer(after, kill_process))
        ended = in_a_process_of_its_own(mortal)
        if ended == 0:
            assert after > 30  # else the writes are not seen any more
            break
        assert ended == -signal.SIGKILL
        if two.steps()[step.id] != "done":  # it died after its last word to the gate
            whole = partial(work, two, step, granted(two, step), Killer(0))
            assert in_a_process_of_its_own(whole) == 0
        assert two.steps()[step.id] == "done"
        check_dispatched(two, step.id, "one", "two")


def test_run_again_at_any_time_it_leaves_what_is_done_as_it_is(site: Site) -> None:
    job_id = site.exporting(*INSTANCES)
    job = site.folder(job_id).read()
    assert job.state is JobState.DONE
    site.redis.flushall()
    site.gate.open()
    assert site.dispatch(job.delivery) == Done()
    assert site.folder(job_id).read() == job
    assert find_job(site.redis, job_id).state is JobState.DONE
    assert job_id not in site.steps()


def at_once(times: int, call: Callable[[], Outcome]) -> list[Outcome]:
    barrier = threading.Barrier(times)

    def run() -> Outcome:
        barrier.wait(10)
        return call()

    with ThreadPoolExecutor(times) as pool:
        return [future.result(30) for future in [pool.submit(run) for _ in range(times)]]


def test_several_at_once_make_one_set_of_jobs(two: Site) -> None:
    for _ in range(10):
        two.empty()
        delivery_id = two.commit(*INSTANCES)
        with two.lease(two.start(dispatch_step(delivery_id, "normal"))) as lease:
            outcomes = at_once(4, partial(dispatch, two.context, lease))
        assert Done() in outcomes
        others = [outcome for outcome in outcomes if outcome != Done()]
        assert all(isinstance(other, TryAgain) and not other.counted for other in others)
        check_dispatched(two, delivery_id, "one", "two")


def test_beside_another_that_still_lives_it_waits_and_that_is_no_attempt(site: Site) -> None:
    delivery_id = site.commit(*INSTANCES)
    folder = site.tree.committed / delivery_id
    held = LockedFile.try_lock(folder / "dispatch.lock")
    assert held is not None
    with held:
        outcome = site.dispatch(delivery_id)
    assert isinstance(outcome, TryAgain)
    assert not outcome.counted
    assert site.jobs() == []
    assert site.dispatch(delivery_id) == Done()
    check_dispatched(site, delivery_id, "keep")


def test_stopped_between_two_jobs_it_goes_on_later(two: Site) -> None:
    delivery_id = two.commit(*INSTANCES)
    with two.lease(two.start(dispatch_step(delivery_id, "normal"))) as lease:
        two.context.stopping.set()
        with pytest.raises(StoppingError):
            dispatch(two.context, lease)
        two.context.stopping.clear()
        assert dispatch(two.context, lease) == Done()
    check_dispatched(two, delivery_id, "one", "two")


def test_a_delivery_that_is_nowhere_is_looked_for_again(site: Site) -> None:
    outcome = site.dispatch(new_id())
    assert isinstance(outcome, TryAgain)
    assert outcome.delay > 0
    assert site.jobs() == []


def test_a_folder_that_is_still_being_moved_in_is_looked_for_again(site: Site) -> None:
    delivery_id = site.commit(*INSTANCES)
    record = site.tree.committed / delivery_id / DELIVERY_FILE
    record.rename(record.with_suffix(".away"))
    assert isinstance(site.dispatch(delivery_id), TryAgain)
    record.with_suffix(".away").rename(record)
    assert site.dispatch(delivery_id) == Done()


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_data_set_is_dispatched_and_said_to_be_unreadable(site: Site) -> None:
    delivery_id = site.commit(
        Given("1.2.3", b"\xff" * 1000), Given("1.2.4", data_set_of(sample_file("CT_small.dcm")))
    )
    assert site.dispatch(delivery_id) == Done()
    check_dispatched(site, delivery_id, "keep")
    assert [each.headers.readable for each in plan_of(site, delivery_id).instances] == [False, True]


# Settings


def test_an_unknown_ae_title_goes_to_quarantine_whole_and_is_said(site: Site) -> None:
    delivery_id = site.commit(*INSTANCES, ae_title="GONE")
    before = names(site.tree.committed / delivery_id)
    with capture_logs() as lines:
        assert site.dispatch(delivery_id) == Done()
    folder = site.tree.quarantine / delivery_id
    assert names(folder) == sorted([*before, QUARANTINE_FILE])
    assert names(site.tree.committed) == names(site.tree.jobs) == []
    reason = "its AE title 'GONE' is not in the settings"
    (line,) = (line for line in lines if line["log_level"] == "error")
    assert (line["delivery"], line["reason"]) == (delivery_id, reason)
    written = read_quarantined(folder)
    assert written is not None
    assert written.reason == reason
    assert abs(datetime.now(UTC) - written.when) < timedelta(minutes=1)


def test_what_is_in_quarantine_stays_there(site: Site) -> None:
    delivery_id = site.commit(*INSTANCES, ae_title="GONE")
    with site.lease(site.start(dispatch_step(delivery_id, "normal"))) as lease:
        dispatch(site.context, lease)
        before = names(site.tree.quarantine / delivery_id)
        assert dispatch(site.context, lease) == Done()
    assert names(site.tree.quarantine / delivery_id) == before


def test_a_worker_whose_settings_are_older_than_the_delivery_reads_them_again(site: Site) -> None:
    site.configure(
        ae_titles=[{"title": "NEW", "pipeline": "fresh"}], pipelines={"fresh": {"kind": "forward"}}
    )
    delivery_id = site.commit(*INSTANCES, ae_title="NEW", settings_revision="newer")
    assert site.dispatch(delivery_id) == Done()
    check_dispatched(site, delivery_id, "fresh")


def test_an_ae_title_that_the_newest_settings_do_not_know_goes_to_quarantine(site: Site) -> None:
    delivery_id = site.commit(*INSTANCES, ae_title="GONE", settings_revision="older")
    assert site.dispatch(delivery_id) == Done()
    assert names(site.tree.quarantine) == [delivery_id]


def test_settings_with_an_error_in_them_do_not_take_the_place_of_good_ones(site: Site) -> None:
    site.configure(ae_titles=[{"title": "NEW", "pipeline": "unknown"}])
    unknown = site.commit(*INSTANCES, ae_title="NEW", settings_revision="newer")
    with capture_logs() as lines:
        site.dispatch(unknown)
    assert "new settings refused, the old ones stay" in [line["event"] for line in lines]
    assert names(site.tree.quarantine) == [unknown]
    site.dispatched(*INSTANCES)
