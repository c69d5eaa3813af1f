"""Deliveries of one study or series make one job."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.acts import JobActs
from shared.announce import dispatch_step
from shared.delivery import DELIVERY_FILE
from shared.job import STATE_FILE, Job, JobState
from shared.registry.views import find_job, history, list_jobs
from tests.workers.faults import kills
from tests.workers.grouping import LONGEST, QUIET, GroupingSite, image
from tests.workers.site import Given, Site, write_instance
from workers.dispatching.dispatch import dispatch
from workers.dispatching.dispatched import DISPATCHED_FILE
from workers.keeping.housekeeping import Housekeeping
from workers.reconciling.reconciler import Reconciler
from workers.steps.outcome import Done

Make = Callable[..., Site]


@pytest.fixture
def grouping(make_site: Make) -> GroupingSite:
    """Grouped by study, for one pipeline."""
    return GroupingSite(make_site)


def events(grouping: GroupingSite, job_id: str) -> list[str]:
    return [line.what for line in history(grouping.site.redis, job_id)]


# Together


def test_deliveries_of_a_study_within_the_quiet_period_make_one_job(grouping: GroupingSite) -> None:
    first = grouping.dispatched(image(1), image(2))
    second = grouping.dispatched(image(3))
    grouping.put_forward(QUIET - 5)
    waiting = grouping.job()
    assert waiting.state is JobState.WAITING
    assert grouping.site.steps().keys() == {first, second}  # no step, no place, no worker

    grouping.put_forward()
    job = grouping.job()
    assert (job.state, job.deliveries, job.instances) == (JobState.QUEUED, (first, second), 3)
    assert sorted(grouping.data_sets(job)) == ["1.2.1.dcm", "1.2.2.dcm", "1.2.3.dcm"]
    assert grouping.site.steps()[job.id] == "waiting"
    assert grouping.site.run_pipeline(job.id) == Done()
    assert grouping.job().state is JobState.DONE


def test_each_delivery_starts_the_quiet_period_anew(grouping: GroupingSite) -> None:
    grouping.dispatched(image(1))
    before = grouping.job().due
    grouping.dispatched(image(2))
    job = grouping.job()
    assert job.group is not None
    assert before is not None
    assert job.due == job.group.grown + timedelta(seconds=QUIET)
    assert job.due > before
    grouping.closer.close_due(before)
    assert grouping.job().state is JobState.WAITING


def test_studies_senders_and_titles_are_groups_of_their_own(make_site: Make) -> None:
    grouping = GroupingSite(make_site)
    grouping.dispatched(image(1), image(2, study="1.9.2"))
    grouping.dispatched(image(3, study="1.9.2"), calling_ae_title="MR01")
    grouping.put_forward()
    assert sorted(job.instances for job in grouping.jobs(JobState.QUEUED)) == [1, 1, 1]
    grouping.check_each_instance_is_in_one_job_of_its_group()


def test_grouped_by_series_those_of_one_study_are_apart(make_site: Make) -> None:
    grouping = GroupingSite(make_site, group_by="series")
    grouping.dispatched(image(1, series="1.9.1.1"), image(2, series="1.9.1.2"))
    grouping.dispatched(image(3, series="1.9.1.2"))
    grouping.put_forward()
    assert sorted(job.instances for job in grouping.jobs(JobState.QUEUED)) == [1, 2]


def test_each_pipeline_has_a_job_for_the_group(make_site: Make) -> None:
    grouping = GroupingSite(make_site, "one", "two")
    deliveries = (grouping.dispatched(image(1)), grouping.dispatched(image(2)))
    grouping.put_forward()
    one, two = grouping.jobs(JobState.QUEUED)
    assert {one.pipeline, two.pipeline} == {"one", "two"}
    assert one.deliveries == two.deliveries == deliveries
    grouping.check_each_instance_is_in_one_job_of_its_group()


def test_an_association_that_was_not_released_marks_the_whole_job(grouping: GroupingSite) -> None:
    grouping.dispatched(image(1))
    grouping.dispatched(image(2), end="aborted")
    assert grouping.job().incomplete
    assert find_job(grouping.site.redis, grouping.job().id).incomplete


# Instances that cannot be grouped, or come twice


@pytest.mark.filterwarnings("ignore")
def test_instances_without_the_uid_make_a_marked_job_of_their_own_at_once(
    grouping: GroupingSite,
) -> None:
    lacking = (image(2, study=""), Given("1.2.3", b"\xff" * 1000))
    delivery = grouping.dispatched(image(1), *lacking)
    grouping.dispatched(image(4, study=""))
    (waiting,) = grouping.jobs(JobState.WAITING)
    assert (waiting.instances, waiting.ungrouped) == (1, False)
    alone, later = grouping.jobs(JobState.QUEUED)
    if alone.delivery != delivery:
        alone, later = later, alone
    assert (alone.deliveries, alone.instances, alone.ungrouped) == ((delivery,), 2, True)
    assert sorted(grouping.data_sets(alone)) == ["1.2.2.dcm", "1.2.3.dcm"]
    assert events(grouping, alone.id) == [
        "dispatched, 2 of 3 instances without a UID to be grouped by"
    ]
    assert later.ungrouped


def test_an_instance_that_comes_twice_is_there_once_and_a_different_one_gets_a_number(
    grouping: GroupingSite,
) -> None:
    same, other = image(1), image(1, fill=7)
    grouping.dispatched(same)
    grouping.dispatched(same, image(2))
    grouping.dispatched(other)
    grouping.dispatched(other)
    grouping.put_forward()
    job = grouping.job()
    assert grouping.data_sets(job) == {
        "1.2.1.dcm": same.data_set,
        "1.2.1.2.dcm": other.data_set,
        "1.2.2.dcm": image(2).data_set,
    }
    assert job.instances == 3
    folder = grouping.site.folder(job.id).input
    assert job.size == sum(path.stat().st_size for path in folder.iterdir())
    assert find_job(grouping.site.redis, job.id).instances == 3


def test_the_number_of_one_is_not_the_uid_of_another(grouping: GroupingSite) -> None:
    odd = Given("1.2.1.2", image(5).data_set)
    grouping.dispatched(image(1), odd)
    grouping.dispatched(image(1, fill=7))
    grouping.put_forward()
    assert grouping.data_sets(grouping.job()) == {
        "1.2.1.dcm": image(1).data_set,
        "1.2.1.2.dcm": odd.data_set,
        "1.2.1.3.dcm": image(1, fill=7).data_set,
    }


# When it closes


def test_it_waits_while_an_association_of_its_sender_is_open(grouping: GroupingSite) -> None:
    grouping.dispatched(image(1))
    folder = grouping.associate()
    grouping.put_forward(LONGEST - 10)
    assert grouping.job().state is JobState.WAITING
    folder.rename(grouping.tree.aborted / folder.name)
    grouping.put_forward()
    assert grouping.job().state is JobState.QUEUED


def test_it_waits_while_a_delivery_of_its_sender_is_not_dispatched(grouping: GroupingSite) -> None:
    grouping.dispatched(image(1))
    delivery_id = grouping.site.commit(image(2))
    grouping.put_forward()
    assert grouping.job().state is JobState.WAITING
    # Taken over, and cut short there.
    (grouping.tree.committed / delivery_id).rename(grouping.tree.deliveries / delivery_id)
    grouping.put_forward()
    assert grouping.job().state is JobState.WAITING
    assert grouping.site.dispatch(delivery_id) == Done()
    grouping.put_forward()
    assert (grouping.job().state, grouping.job().instances) == (JobState.QUEUED, 2)


@pytest.mark.parametrize("other", [{"calling_ae_title": "MR01"}, {"ae_title": "OTHER"}])
def test_what_others_send_does_not_keep_it_waiting(
    grouping: GroupingSite, other: dict[str, str]
) -> None:
    grouping.dispatched(image(1))
    grouping.associate(**other)
    grouping.site.commit(image(2), **other)
    grouping.put_forward()
    assert grouping.job().state is JobState.QUEUED


def test_a_damaged_record_keeps_nobody_waiting(grouping: GroupingSite) -> None:
    grouping.dispatched(image(1))
    (grouping.tree.committed / grouping.site.commit(image(2)) / DELIVERY_FILE).write_text("{")
    (grouping.associate() / "association.json").write_text("")
    (grouping.tree.incoming / "stray").write_text("")
    grouping.put_forward()
    assert grouping.job().state is JobState.QUEUED


def test_after_its_longest_wait_it_closes_whatever_is_still_to_come(grouping: GroupingSite) -> None:
    grouping.dispatched(image(1))
    grouping.associate()
    delivery_id = grouping.site.commit(image(2))
    grouping.put_forward(LONGEST + 1)
    job = grouping.job()
    assert (job.state, job.instances) == (JobState.QUEUED, 1)
    assert events(grouping, job.id)[-1].endswith("at its longest wait")
    assert grouping.site.dispatch(delivery_id) == Done()
    (late,) = grouping.jobs(JobState.WAITING)
    assert late.follows == job.id


def test_deliveries_that_never_end_do_not_put_off_the_longest_wait(grouping: GroupingSite) -> None:
    grouping.dispatched(image(1))
    opened = grouping.job()
    folder = grouping.site.folder(opened.id)
    assert opened.group is not None
    earlier = {"opened": opened.group.opened - timedelta(seconds=LONGEST - 5)}
    group = opened.group.model_copy(update=earlier)
    folder.update(lambda job: job.model_copy(update={"group": group}))
    grouping.dispatched(image(2))
    assert grouping.job().due == group.latest
    grouping.put_forward(6)
    assert grouping.job().state is JobState.QUEUED


def test_it_is_closed_once_however_many_close_it(grouping: GroupingSite) -> None:
    for _ in range(5):
        grouping.empty()
        grouping.dispatched(image(1), image(2))
        barrier = threading.Barrier(4)

        def close(barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            grouping.put_forward()

        with ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(close) for _ in range(4)]:
                future.result(30)
        job = grouping.job()
        assert job.state is JobState.QUEUED
        assert [each for each in events(grouping, job.id) if each.startswith("complete")] == [
            "complete: 2 instances of 1 deliveries"
        ]
        grouping.check_each_instance_is_in_one_job_of_its_group()


# Too late


def test_a_late_delivery_opens_a_new_job_that_says_so(grouping: GroupingSite) -> None:
    grouping.dispatched(image(1))
    grouping.put_forward()
    first = grouping.job()
    grouping.dispatched(image(2))
    (late,) = grouping.jobs(JobState.WAITING)
    assert late.follows == first.id != late.id
    assert find_job(grouping.site.redis, late.id).follows == first.id
    assert events(grouping, late.id) == [f"dispatched, 1 instances, too late for {first.id}"]
    grouping.dispatched(image(3))
    grouping.put_forward()
    grouping.check_each_instance_is_in_one_job_of_its_group()
    assert [job.instances for job in grouping.jobs() if job.follows] == [2]
    grouping.dispatched(image(4))
    (latest,) = grouping.jobs(JobState.WAITING)
    assert latest.follows == late.id


def acts(grouping: GroupingSite) -> JobActs:
    context = grouping.site.context
    return JobActs(grouping.tree, context.gate, context.records, "anna@desk")


@pytest.mark.parametrize("act", [JobActs.cancel, JobActs.hold])
def test_a_group_that_a_person_stopped_takes_no_more(
    grouping: GroupingSite, act: Callable[[JobActs, str], Job]
) -> None:
    grouping.dispatched(image(1))
    stopped = grouping.job()
    act(acts(grouping), stopped.id)
    grouping.put_forward()
    assert grouping.job().state in (JobState.CANCELLED, JobState.HELD)
    grouping.dispatched(image(2))
    (late,) = grouping.jobs(JobState.WAITING)
    assert late.follows == stopped.id
    grouping.put_forward()
    assert grouping.site.folder(stopped.id).read().instances == 1
    assert [job.instances for job in grouping.jobs(JobState.QUEUED)] == [1]


def test_one_that_a_person_releases_waits_on_and_closes(grouping: GroupingSite) -> None:
    grouping.dispatched(image(1))
    job_id = grouping.job().id
    reconciler = Reconciler(grouping.site.context)
    acts(grouping).hold(job_id)
    reconciler.tick()
    grouping.put_forward()
    assert grouping.job().state is JobState.HELD
    acts(grouping).release(job_id)
    assert find_job(grouping.site.redis, job_id).state is JobState.WAITING
    reconciler._looked = float("-inf")  # a period later
    reconciler.tick()
    grouping.put_forward()
    assert grouping.job().state is JobState.QUEUED


# Records


def test_a_waiting_job_shows_when_it_is_due_and_what_it_has(grouping: GroupingSite) -> None:
    first = grouping.dispatched(image(1))
    second = grouping.dispatched(image(2), image(3))
    (view,) = list_jobs(grouping.site.redis, state=JobState.WAITING)
    job = grouping.job()
    assert job.due is not None
    assert view.retry_at is not None
    assert abs(view.retry_at - job.due) < timedelta(milliseconds=1)
    assert (view.instances, view.deliveries, view.delivery) == (3, 2, first)
    grouping.put_forward()
    view = find_job(grouping.site.redis, job.id)
    assert (view.state, view.retry_at, view.instances) == (JobState.QUEUED, None, 3)
    assert events(grouping, job.id) == [
        "dispatched, 1 instances",
        f"joined by delivery {second}, 2 instances",
        "complete: 3 instances of 2 deliveries",
    ]


def test_no_uid_is_in_redis_in_a_log_or_in_a_name(grouping: GroupingSite) -> None:
    study = "1.2.826.0.1.3680043"
    with capture_logs() as lines:
        grouping.dispatched(image(1, study=study))
        grouping.put_forward()
    redis = grouping.site.redis
    values = [redis.dump(key) for key in redis.scan_iter()]
    assert not [value for value in values if study in str(value)]
    assert study not in str(lines)
    assert not [path for path in grouping.tree.groups.iterdir() if study in path.name]
    (job,) = grouping.tree.jobs.iterdir()
    assert study not in (job / "state.json").read_text()


def test_after_redis_was_emptied_a_waiting_job_comes_back_and_closes(
    grouping: GroupingSite,
) -> None:
    grouping.dispatched(image(1))
    grouping.site.redis.flushall()
    grouping.site.gate.open()
    grouping.restart()
    Reconciler(grouping.site.context).tick()
    (view,) = list_jobs(grouping.site.redis, state=JobState.WAITING)
    assert view.retry_at is not None
    grouping.put_forward()
    assert find_job(grouping.site.redis, view.id).state is JobState.QUEUED


def test_a_group_whose_time_came_while_no_worker_ran_closes_once_one_does(
    grouping: GroupingSite,
) -> None:
    grouping.dispatched(image(1))
    grouping.restart()
    grouping.put_forward()
    assert grouping.job().state is JobState.WAITING  # nobody has looked yet
    Reconciler(grouping.site.context).tick()
    grouping.put_forward()
    assert grouping.job().state is JobState.QUEUED


def test_a_job_that_is_gone_is_not_waited_for(grouping: GroupingSite) -> None:
    grouping.dispatched(image(1))
    folder = grouping.site.folder(grouping.job().id)
    folder.path.rename(grouping.tree.trash / "gone")
    grouping.put_forward()
    assert grouping.site.context.waiting == {}


def test_a_delivery_that_is_not_whole_any_more_fails_its_job_and_no_other(
    grouping: GroupingSite,
) -> None:
    broken = grouping.dispatched(image(1))
    grouping.dispatched(image(2, study="1.9.2"))
    (grouping.tree.deliveries / broken / "1.2.1.dcm").unlink()
    grouping.put_forward()
    (failed,) = grouping.jobs(JobState.FAILED)
    assert failed.delivery == broken
    assert broken in failed.failure
    assert find_job(grouping.site.redis, failed.id).state is JobState.FAILED
    assert len(grouping.jobs(JobState.QUEUED)) == 1
    write_instance(grouping.tree.deliveries / broken / "1.2.1.dcm", image(1))
    acts(grouping).retry(failed.id)
    assert find_job(grouping.site.redis, failed.id).state is JobState.WAITING
    Reconciler(grouping.site.context).tick()
    grouping.put_forward()
    assert grouping.data_sets(grouping.site.folder(failed.id).read()) == {
        "1.2.1.dcm": image(1).data_set
    }
    assert find_job(grouping.site.redis, failed.id).state is JobState.QUEUED


def test_a_damaged_job_of_its_group_is_no_obstacle(grouping: GroupingSite) -> None:
    grouping.dispatched(image(1))
    damaged = grouping.site.folder(grouping.job().id).path
    (damaged / STATE_FILE).write_text("{")
    grouping.put_forward()
    grouping.dispatched(image(2))
    damaged.rename(grouping.tree.trash / "damaged")
    late = grouping.job()
    assert (late.follows, late.state) == (damaged.name, JobState.WAITING)
    grouping.put_forward()
    assert grouping.job().state is JobState.QUEUED


# Killed and run again


def test_killed_after_any_write_a_delivery_opens_its_group_once(make_site: Make) -> None:
    grouping = GroupingSite(make_site)
    for kill in kills(least=20):
        grouping.empty()
        delivery_id = grouping.site.commit(image(1), image(2, study="1.9.2"))
        grouping.dispatch_and_kill(delivery_id, kill)
        grouping.dispatch_again(delivery_id)
        assert len(grouping.jobs(JobState.WAITING)) == 2
        grouping.put_forward()
        grouping.check_each_instance_is_in_one_job_of_its_group()


def test_killed_after_any_write_a_delivery_is_added_once(make_site: Make) -> None:
    grouping = GroupingSite(make_site)
    for kill in kills(least=20):
        grouping.empty()
        grouping.dispatched(image(1))
        delivery_id = grouping.site.commit(image(2), image(3, study="1.9.2"))
        grouping.dispatch_and_kill(delivery_id, kill)
        grouping.dispatch_again(delivery_id)
        assert len(grouping.jobs(JobState.WAITING)) == 2
        grouping.put_forward()
        grouping.check_each_instance_is_in_one_job_of_its_group()


def test_killed_after_any_write_and_closed_before_it_is_run_again(make_site: Make) -> None:
    grouping = GroupingSite(make_site)
    for kill in kills(least=10):
        grouping.empty()
        grouping.dispatched(image(1))
        delivery_id = grouping.site.commit(image(2))
        grouping.dispatch_and_kill(delivery_id, kill)
        grouping.put_forward(LONGEST + 1)
        grouping.dispatch_again(delivery_id)
        grouping.put_forward()
        grouping.check_each_instance_is_in_one_job_of_its_group()
        assert len(grouping.jobs()) in (1, 2)


def test_killed_while_it_opens_a_group_that_another_delivery_then_joins(make_site: Make) -> None:
    grouping = GroupingSite(make_site)
    for kill in kills(least=10):
        grouping.empty()
        delivery_id = grouping.site.commit(image(1))
        grouping.dispatch_and_kill(delivery_id, kill)
        other = grouping.dispatched(image(2))
        grouping.dispatch_again(delivery_id)
        assert set(grouping.job().deliveries) == {delivery_id, other}
        grouping.put_forward()
        grouping.check_each_instance_is_in_one_job_of_its_group()
        assert {path.name for path in grouping.tree.jobs.iterdir()} == {grouping.job().id}


def test_killed_while_it_opens_a_group_that_another_delivery_then_opens_and_closes(
    make_site: Make,
) -> None:
    grouping = GroupingSite(make_site)
    for kill in kills(least=10):
        grouping.empty()
        delivery_id = grouping.site.commit(image(1))
        grouping.dispatch_and_kill(delivery_id, kill)
        grouping.dispatched(image(2))
        grouping.put_forward(LONGEST + 1)
        grouping.dispatch_again(delivery_id)
        grouping.put_forward()
        grouping.check_each_instance_is_in_one_job_of_its_group()


def test_killed_after_any_write_a_group_is_closed_all_the_same(make_site: Make) -> None:
    grouping = GroupingSite(make_site)
    for kill in kills(least=8):
        grouping.empty()
        grouping.dispatched(image(1), image(2))
        grouping.dispatched(image(1), image(1, fill=7), image(3))
        with kill:
            grouping.put_forward()
        grouping.restart()
        Reconciler(grouping.site.context).tick()
        grouping.put_forward()
        grouping.check_each_instance_is_in_one_job_of_its_group()
        assert grouping.job().instances == 4
        assert find_job(grouping.site.redis, grouping.job().id).state is JobState.QUEUED


def test_deliveries_at_once_go_into_one_job(grouping: GroupingSite) -> None:
    for _ in range(5):
        grouping.empty()
        deliveries = [grouping.site.commit(image(number)) for number in range(6)]
        runs = [grouping.site.start(dispatch_step(each, "normal")) for each in deliveries]
        barrier = threading.Barrier(len(runs))

        def run(number: int, runs: list = runs, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            with grouping.site.lease(runs[number]) as lease:
                assert dispatch(grouping.site.context, lease) == Done()

        with ThreadPoolExecutor(len(runs)) as pool:
            list(pool.map(run, range(len(runs))))
        assert set(grouping.job().deliveries) == set(deliveries)
        grouping.put_forward()
        grouping.check_each_instance_is_in_one_job_of_its_group()


# Removed


def end(grouping: GroupingSite, job: Job) -> None:
    """It is done, and past its retention."""
    assert grouping.site.run_pipeline(job.id) == Done()


def keep_house(grouping: GroupingSite) -> None:
    Housekeeping(grouping.site.context).tick()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_a_delivery_goes_with_the_last_of_the_jobs_that_it_has_a_part_in(
    grouping: GroupingSite,
) -> None:
    first = grouping.dispatched(image(1), image(2, study="1.9.2"))
    second = grouping.dispatched(image(3))
    grouping.put_forward()
    both, one = sorted(grouping.jobs(), key=lambda job: -len(job.deliveries))
    assert both.deliveries == (first, second)
    end(grouping, both)
    keep_house(grouping)
    assert names(grouping.tree.jobs) == {one.id}
    assert names(grouping.tree.deliveries) == {first}
    end(grouping, one)
    keep_house(grouping)
    for folder in (grouping.tree.jobs, grouping.tree.deliveries, grouping.tree.groups):
        assert names(folder) == set()


def test_deliveries_of_a_waiting_job_stay(grouping: GroupingSite) -> None:
    grouping.dispatched(image(1))
    grouping.put_forward()
    early = grouping.job()
    delivery_id = grouping.dispatched(image(2))
    end(grouping, early)
    keep_house(grouping)
    assert names(grouping.tree.deliveries) == {delivery_id}
    (late,) = grouping.jobs(JobState.WAITING)
    assert late.follows == early.id
    grouping.put_forward()
    assert grouping.data_sets(grouping.job()) == {"1.2.2.dcm": image(2).data_set}


def test_a_job_stays_until_the_dispatch_of_each_of_its_deliveries_is_through(
    grouping: GroupingSite,
) -> None:
    delivery_id = grouping.dispatched(image(1))
    (grouping.tree.deliveries / delivery_id / DISPATCHED_FILE).unlink()
    grouping.put_forward(LONGEST + 1)
    job = grouping.job()
    end(grouping, job)
    keep_house(grouping)
    assert names(grouping.tree.jobs) == {job.id}
    grouping.site.gate.withdraw(delivery_id)
    grouping.dispatch_again(delivery_id)
    assert names(grouping.tree.jobs) == {job.id}
    keep_house(grouping)
    assert names(grouping.tree.jobs) == names(grouping.tree.deliveries) == set()


def test_killed_after_any_write_what_is_past_its_time_goes_whole(make_site: Make) -> None:
    grouping = GroupingSite(make_site)
    for kill in kills(least=8):
        grouping.empty()
        grouping.dispatched(image(1))
        grouping.dispatched(image(2))
        grouping.put_forward()
        end(grouping, grouping.job())
        with kill:
            keep_house(grouping)
        keep_house(grouping)
        tree = grouping.tree
        for folder in (tree.jobs, tree.deliveries, tree.groups, tree.trash):
            assert names(folder) == set()
