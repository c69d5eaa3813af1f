"""Reading the job records."""

import pytest
from redis import Redis

from shared.job_state import JobState
from shared.registry.jobs import JobRecords
from shared.registry.views import JobView, UnknownJobError, find_job, history, list_jobs
from tests.shared.registry.jobs import job


@pytest.fixture
def records(redis: Redis) -> JobRecords:
    return JobRecords(redis)


def ids(jobs: list[JobView]) -> list[str]:
    return [each.id for each in jobs]


def test_an_empty_server_lists_nothing(redis: Redis):
    assert list_jobs(redis) == []
    assert list_jobs(redis, state=JobState.DONE) == []
    assert list_jobs(redis, state=JobState.DONE, ae_title="BRAIN") == []
    assert history(redis, "20261122T104907-3f9c2a41d07e") == []


def test_filters_narrow_the_list_alone_and_together(redis: Redis, records: JobRecords):
    records.create(job("brain-queued"), JobState.QUEUED, "dispatched")
    records.create(job("brain-done", age=1), JobState.DONE, "found on disk")
    records.create(job("lung-queued", age=2, ae_title="LUNG"), JobState.QUEUED, "dispatched")
    records.create(job("lung-done", age=3, ae_title="LUNG"), JobState.DONE, "found on disk")
    assert ids(list_jobs(redis)) == ["brain-queued", "brain-done", "lung-queued", "lung-done"]
    assert ids(list_jobs(redis, state=JobState.DONE)) == ["brain-done", "lung-done"]
    assert ids(list_jobs(redis, ae_title="LUNG")) == ["lung-queued", "lung-done"]
    assert ids(list_jobs(redis, state=JobState.QUEUED, ae_title="LUNG")) == ["lung-queued"]
    assert list_jobs(redis, state=JobState.FAILED) == []
    assert list_jobs(redis, ae_title="HEART") == []
    assert list_jobs(redis, state=JobState.QUEUED, ae_title="HEART") == []


FILTERS = [
    {},
    {"state": JobState.RUNNING},
    {"ae_title": "BRAIN"},
    {"state": JobState.RUNNING, "ae_title": "BRAIN"},
]


@pytest.mark.parametrize("filters", FILTERS)
def test_every_list_is_newest_first_whatever_moved_last(
    redis: Redis, records: JobRecords, filters: dict[str, object]
):
    ages = {"old": 300, "new": 1, "middle": 20}
    for name, age in ages.items():
        records.create(job(name, age=age), JobState.QUEUED, "dispatched")
    for name in ("new", "old", "middle"):
        records.move(name, JobState.RUNNING, "started")
    assert ids(list_jobs(redis, **filters)) == ["new", "middle", "old"]


@pytest.mark.parametrize("filters", FILTERS)
def test_a_limit_keeps_the_newest(redis: Redis, records: JobRecords, filters: dict[str, object]):
    for age in (5, 1, 9, 3, 7):
        records.create(job(f"age-{age}", age=age), JobState.RUNNING, "found on disk")
    found = list_jobs(redis, **filters, limit=2)
    assert ids(found) == ["age-1", "age-3"]


def test_a_job_is_found_by_its_id_its_end_or_its_beginning(redis: Redis, records: JobRecords):
    one, two = "20261122T104907-3f9c2a41d07e", "20261123T000000-aaaaaaaaaaaa"
    for each in (one, two):
        records.create(job(each), JobState.QUEUED, "dispatched")
    assert find_job(redis, one).id == one
    assert find_job(redis, "d07e").id == one
    assert find_job(redis, "aaaa").id == two
    assert find_job(redis, "20261122").id == one


def test_an_end_that_several_have_finds_none_and_says_so(redis: Redis, records: JobRecords):
    for head in ("1", "2"):
        records.create(job(f"{head}0261122T104907-00000000d07e"), JobState.QUEUED, "dispatched")
    with pytest.raises(UnknownJobError, match="2 jobs match 'd07e'"):
        find_job(redis, "d07e")


def test_an_id_in_full_is_never_ambiguous(redis: Redis, records: JobRecords):
    records.create(job("ab"), JobState.QUEUED, "dispatched")
    records.create(job("abab"), JobState.QUEUED, "dispatched")
    assert find_job(redis, "ab").id == "ab"


def test_a_job_that_does_not_exist_is_unknown(redis: Redis, records: JobRecords):
    records.create(job(), JobState.QUEUED, "dispatched")
    with pytest.raises(UnknownJobError, match="no job is 'ffff'"):
        find_job(redis, "ffff")


def test_a_part_in_the_middle_of_an_id_finds_nothing(redis: Redis, records: JobRecords):
    records.create(job("20261122T104907-3f9c2a41d07e"), JobState.QUEUED, "dispatched")
    with pytest.raises(UnknownJobError):
        find_job(redis, "104907-3f9c")
