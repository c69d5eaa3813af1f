"""Deliveries and jobs of groups, past their retention."""

from pathlib import Path

from shared.job import Job
from shared.job_state import JobState
from tests.workers.faults import kills
from tests.workers.grouping import LONGEST, GroupingSite, image
from workers.dispatching.dispatched import DISPATCHED_FILE
from workers.keeping.housekeeping import Housekeeping
from workers.steps.outcome import Done


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


def test_killed_after_any_write_what_is_past_its_time_goes_whole(grouping: GroupingSite) -> None:
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
