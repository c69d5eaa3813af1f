"""When a group is complete, and what becomes of deliveries that come too late for it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from shared.acts import JobActs
from shared.delivery import DELIVERY_FILE
from shared.job import Job
from shared.job_state import JobState
from shared.registry.views import find_job
from tests.workers.grouping import LONGEST, GroupingSite, image
from workers.reconciling.reconciler import Reconciler
from workers.steps.outcome import Done

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
    assert grouping.events(job.id)[-1].endswith("at its longest wait")
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
        assert [each for each in grouping.events(job.id) if each.startswith("complete")] == [
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
    assert grouping.events(late.id) == [f"dispatched, 1 instances, too late for {first.id}"]
    grouping.dispatched(image(3))
    grouping.put_forward()
    grouping.check_each_instance_is_in_one_job_of_its_group()
    assert [job.instances for job in grouping.jobs() if job.follows] == [2]
    grouping.dispatched(image(4))
    (latest,) = grouping.jobs(JobState.WAITING)
    assert latest.follows == late.id


@pytest.mark.parametrize("act", [JobActs.cancel, JobActs.hold])
def test_a_group_that_a_person_stopped_takes_no_more(
    grouping: GroupingSite, act: Callable[[JobActs, str], Job]
) -> None:
    grouping.dispatched(image(1))
    stopped = grouping.job()
    act(grouping.site.acts, stopped.id)
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
    grouping.site.acts.hold(job_id)
    reconciler.tick()
    grouping.put_forward()
    assert grouping.job().state is JobState.HELD
    grouping.site.acts.release(job_id)
    assert find_job(grouping.site.redis, job_id).state is JobState.WAITING
    reconciler._looked = float("-inf")  # a period later
    reconciler.tick()
    grouping.put_forward()
    assert grouping.job().state is JobState.QUEUED
