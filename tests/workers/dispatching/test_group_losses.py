"""Groups whose dispatch or closing is killed, whose files are damaged, whose Redis is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.announce import dispatch_step
from shared.job import STATE_FILE
from shared.job_state import JobState
from shared.registry.views import find_job, list_jobs
from tests.workers.faults import kills
from tests.workers.grouping import LONGEST, GroupingSite, image
from tests.workers.site import Given, write_instance
from workers.dispatching.dispatch import dispatch
from workers.steps.outcome import Done


@pytest.mark.parametrize("before", [(), (image(1),)], ids=["opened", "joined"])
def test_killed_after_any_write_a_delivery_opens_or_joins_its_groups_once(
    grouping: GroupingSite, before: tuple[Given, ...]
) -> None:
    for kill in kills(least=20):
        grouping.empty()
        for instance in before:
            grouping.dispatched(instance)
        delivery_id = grouping.site.commit(image(2), image(3, study="1.9.2"))
        grouping.dispatch_and_kill(delivery_id, kill)
        grouping.dispatch_again(delivery_id)
        assert len(grouping.jobs(JobState.WAITING)) == 2
        grouping.put_forward()
        grouping.check_each_instance_is_in_one_job_of_its_group()


def test_killed_after_any_write_and_closed_before_it_is_run_again(grouping: GroupingSite) -> None:
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


def test_killed_while_it_opens_a_group_that_another_delivery_then_joins(
    grouping: GroupingSite,
) -> None:
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
    grouping: GroupingSite,
) -> None:
    for kill in kills(least=10):
        grouping.empty()
        delivery_id = grouping.site.commit(image(1))
        grouping.dispatch_and_kill(delivery_id, kill)
        grouping.dispatched(image(2))
        grouping.put_forward(LONGEST + 1)
        grouping.dispatch_again(delivery_id)
        grouping.put_forward()
        grouping.check_each_instance_is_in_one_job_of_its_group()


def test_killed_after_any_write_a_group_is_closed_all_the_same(grouping: GroupingSite) -> None:
    for kill in kills(least=8):
        grouping.empty()
        grouping.dispatched(image(1), image(2))
        grouping.dispatched(image(1), image(1, fill=7), image(3))
        with kill:
            grouping.put_forward()
        grouping.restart()
        grouping.site.reconcile()
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


def test_after_redis_was_emptied_a_waiting_job_comes_back_and_closes(
    grouping: GroupingSite,
) -> None:
    grouping.dispatched(image(1))
    grouping.site.redis.flushall()
    grouping.site.gate.open()
    grouping.restart()
    grouping.site.reconcile()
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
    grouping.site.reconcile()
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
    grouping.site.acts.retry(failed.id)
    assert find_job(grouping.site.redis, failed.id).state is JobState.WAITING
    grouping.site.reconcile()
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
