"""Deliveries of one study or series make one job."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from shared.job_state import JobState
from shared.registry.views import find_job, list_jobs
from tests.workers.grouping import QUIET, GroupingSite, image
from tests.workers.site import Given, MakeSite
from workers.steps.outcome import Done

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


def test_studies_senders_and_titles_are_groups_of_their_own(grouping: GroupingSite) -> None:
    grouping.dispatched(image(1), image(2, study="1.9.2"))
    grouping.dispatched(image(3, study="1.9.2"), calling_ae_title="MR01")
    grouping.put_forward()
    assert sorted(job.instances for job in grouping.jobs(JobState.QUEUED)) == [1, 1, 1]
    grouping.check_each_instance_is_in_one_job_of_its_group()


def test_grouped_by_series_those_of_one_study_are_apart(make_site: MakeSite) -> None:
    grouping = GroupingSite(make_site, group_by="series")
    grouping.dispatched(image(1, series="1.9.1.1"), image(2, series="1.9.1.2"))
    grouping.dispatched(image(3, series="1.9.1.2"))
    grouping.put_forward()
    assert sorted(job.instances for job in grouping.jobs(JobState.QUEUED)) == [1, 2]


def test_each_pipeline_has_a_job_for_the_group(make_site: MakeSite) -> None:
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
    assert grouping.events(alone.id) == [
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
    assert grouping.events(job.id) == [
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
