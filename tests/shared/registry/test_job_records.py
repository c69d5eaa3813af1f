"""Writing the job records."""

from itertools import product

import pytest
from redis import Redis

from shared.destination_state import DestinationState
from shared.job import DestinationEnd, Result
from shared.job_state import ASLEEP, MAY_FOLLOW, JobState
from shared.registry.jobs import DestinationProgress, Entry, JobRecords
from shared.registry.views import JobView, find_job, history, list_jobs
from shared.study import study_hash
from tests.shared.registry.jobs import EPOCH, create_in, job

PAIRS = list(product(JobState, JobState))
LEGAL = [(old, new) for old, new in PAIRS if old in MAY_FOLLOW[new]]
ILLEGAL = [(old, new) for old, new in PAIRS if old not in MAY_FOLLOW[new]]


@pytest.fixture
def records(redis: Redis) -> JobRecords:
    return JobRecords(redis)


def states_that_list(redis: Redis, job_id: str) -> list[JobState]:
    return [state for state in JobState if job_id in ids(list_jobs(redis, state=state))]


def ids(jobs: list[JobView]) -> list[str]:
    return [each.id for each in jobs]


def test_a_new_record_says_what_the_job_says(redis: Redis, records: JobRecords):
    made = job(incomplete=True, export_to=("PACS", "ARCHIVE"))
    assert records.create(made, JobState.QUEUED, "dispatched")
    view = find_job(redis, made.id)
    assert view == JobView(
        id=made.id,
        state=JobState.QUEUED,
        delivery=made.delivery,
        pipeline="brain-segmentation",
        ae_title="BRAIN",
        calling_ae_title="CT01",
        priority="stat",
        instances=321,
        size=168_034_304,
        incomplete=True,
        created=EPOCH,
        updated=view.updated,
        attempt=0,
        reason="",
        retry_at=None,
        progress=None,
        studies=(),
        destinations={
            "PACS": DestinationProgress(DestinationState.PENDING),
            "ARCHIVE": DestinationProgress(DestinationState.PENDING),
        },
    )
    (line,) = history(redis, made.id)
    assert (line.state, line.what) == ("queued", "dispatched")
    assert line.at == view.updated


def test_a_complete_delivery_is_not_called_incomplete(redis: Redis, records: JobRecords):
    records.create(job(), JobState.QUEUED, "dispatched")
    assert find_job(redis, job().id).incomplete is False


def test_a_record_is_made_once(redis: Redis, records: JobRecords):
    assert records.create(job(export_to=("PACS",)), JobState.QUEUED, "dispatched")
    records.move(job().id, JobState.RUNNING, "attempt 1 started")
    records.set_destination(job().id, "PACS", DestinationProgress(DestinationState.SENDING))
    before = find_job(redis, job().id)
    assert not records.create(job(instances=1), JobState.QUEUED, "dispatched again")
    assert find_job(redis, job().id) == before
    assert len(history(redis, job().id)) == 2
    assert states_that_list(redis, job().id) == [JobState.RUNNING]


def test_a_record_made_from_the_disk_says_what_was_finished_before(
    redis: Redis, records: JobRecords
):
    ends = {
        "PACS": DestinationEnd(
            state=DestinationState.DELIVERED_WITH_WARNINGS, delivered=5, warnings=2
        ),
        "ARCHIVE": DestinationEnd(
            state=DestinationState.FAILED, delivered=1, failed=4, reason="refused"
        ),
    }
    made = job(
        export_to=("PACS", "ARCHIVE", "NEXT"),
        result=Result(attempt=2, folder="attempts/2/output"),
        destinations=ends,
    )
    records.create(made, made.state, "found on disk")
    view = find_job(redis, made.id)
    assert view.attempt == 2
    assert view.reason == "ARCHIVE: refused"
    assert view.destinations == {
        "PACS": DestinationProgress(
            DestinationState.DELIVERED_WITH_WARNINGS, total=5, delivered=5, warnings=2
        ),
        "ARCHIVE": DestinationProgress(
            DestinationState.FAILED, total=5, delivered=1, failed=4, reason="refused"
        ),
        "NEXT": DestinationProgress(DestinationState.PENDING),
    }


@pytest.mark.parametrize(("old", "new"), LEGAL)
def test_a_legal_move_moves_record_indexes_and_history(
    redis: Redis, records: JobRecords, old: JobState, new: JobState
):
    create_in(records, old, job())
    before = len(history(redis, job().id))
    assert records.move(job().id, new, "moved", who="me@here", sources=MAY_FOLLOW[new])
    assert find_job(redis, job().id).state is new
    assert states_that_list(redis, job().id) == [new]
    lines = history(redis, job().id)
    assert len(lines) == before + 1
    assert (lines[-1].state, lines[-1].what) == (new, "moved")


@pytest.mark.parametrize(("old", "new"), ILLEGAL)
def test_an_illegal_move_changes_nothing(
    redis: Redis, records: JobRecords, old: JobState, new: JobState
):
    create_in(records, old, job())
    before = find_job(redis, job().id), history(redis, job().id)
    sources = MAY_FOLLOW[new]
    assert not records.move(job().id, new, "moved", sources=sources, reason="no", attempt=9)
    assert (find_job(redis, job().id), history(redis, job().id)) == before
    assert states_that_list(redis, job().id) == [old]


@pytest.mark.parametrize("old", sorted(ASLEEP))
@pytest.mark.parametrize("new", sorted(set(JobState) - ASLEEP))
def test_a_runs_own_words_do_not_wake_a_job(
    redis: Redis, records: JobRecords, old: JobState, new: JobState
):
    create_in(records, old, job())
    assert not records.move(job().id, new, "attempt 1 started")
    assert find_job(redis, job().id).state is old


@pytest.mark.parametrize("state", JobState)
def test_a_move_repeated_after_its_answer_was_lost_is_a_yes_and_one_line(
    redis: Redis, records: JobRecords, state: JobState
):
    create_in(records, state, job())
    *_, last = history(redis, job().id)
    before = find_job(redis, job().id), history(redis, job().id)
    assert records.move(job().id, state, last.what, reason="again")
    assert (find_job(redis, job().id), history(redis, job().id)) == before


def test_the_same_line_of_somebody_else_is_another(redis: Redis, records: JobRecords):
    create_in(records, JobState.HELD, job())
    for who in ("one", "two", "two"):
        assert records.move(job().id, JobState.HELD, "held", who=who, sources={JobState.HELD})
    assert len(history(redis, job().id)) == 4


def test_a_destination_that_is_reopened_keeps_what_was_delivered(redis: Redis, records: JobRecords):
    records.create(job(export_to=("PACS", "ARCHIVE")), JobState.EXPORTING, "found on disk")
    ended = DestinationProgress(DestinationState.FAILED, 10, 4, 1, 6, "no way", 1.5)
    for name in ("PACS", "ARCHIVE"):
        records.set_destination(job().id, name, ended)
    records.reopen_destinations(job().id, ["PACS", "UNKNOWN"])
    assert find_job(redis, job().id).destinations == {
        "PACS": DestinationProgress(DestinationState.PENDING, 10, 4, 1),
        "ARCHIVE": ended,
    }


def test_a_move_may_set_fields(redis: Redis, records: JobRecords):
    records.create(job(), JobState.QUEUED, "dispatched")
    records.move(job().id, JobState.RUNNING, "started", attempt=2)
    assert find_job(redis, job().id).attempt == 2
    at = round(EPOCH.timestamp() * 1000)
    records.move(job().id, JobState.QUEUED, "failed once", reason="exit code 3", retry_at=at)
    view = find_job(redis, job().id)
    assert (view.reason, view.retry_at, view.attempt) == ("exit code 3", EPOCH, 2)


def test_a_move_without_an_event_leaves_no_line(redis: Redis, records: JobRecords):
    records.create(job(), JobState.QUEUED, "dispatched")
    assert records.move(job().id, JobState.RUNNING)
    assert [line.what for line in history(redis, job().id)] == ["dispatched"]


def test_a_move_of_a_job_without_a_record_makes_none(redis: Redis, records: JobRecords):
    assert not records.move(job().id, JobState.RUNNING, "started", attempt=1)
    assert redis.dbsize() == 0


def test_a_line_of_history_says_who_did_what_at_which_attempt_and_how_long_it_took(
    redis: Redis, records: JobRecords
):
    records.create(job(), JobState.QUEUED, Entry("dispatched", "exports@one"))
    records.move(job().id, JobState.RUNNING, Entry("started", "pipelines@one", attempt=2))
    failed = Entry("failed", "pipelines@one", 2, "exit code 3", 1.5)
    records.move(job().id, JobState.QUEUED, failed, reason="exit code 3")
    records.move(job().id, JobState.HELD, "held", who="ada@console")
    lines = history(redis, job().id)
    assert [(line.state, line.who, line.what) for line in lines] == [
        ("queued", "exports@one", "dispatched"),
        ("running", "pipelines@one", "started"),
        ("queued", "pipelines@one", "failed"),
        ("held", "ada@console", "held"),
    ]
    assert [line.attempt for line in lines] == [None, 2, 2, None]
    assert [(line.error, line.seconds) for line in lines[2:]] == [("exit code 3", 1.5), ("", None)]


def test_a_destination_of_a_job_without_a_record_makes_none(redis: Redis, records: JobRecords):
    records.set_destination(job().id, "PACS", DestinationProgress(DestinationState.SENDING))
    assert redis.dbsize() == 0


def test_history_is_in_order_and_capped(redis: Redis, records: JobRecords):
    records.create(job(), JobState.QUEUED, "dispatched")
    for number in range(1500):
        records.move(job().id, JobState.QUEUED, f"{number}")
    lines = [line.what for line in history(redis, job().id)]
    assert 1000 <= len(lines) < 1300  # the server trims whole blocks
    assert lines == [f"{number}" for number in range(1500)][-len(lines) :]


def test_a_destination_is_as_it_was_last_told(redis: Redis, records: JobRecords):
    records.create(job(export_to=("PACS", "ARCHIVE")), JobState.EXPORTING, "found on disk")
    retrying = DestinationProgress(
        DestinationState.RETRYING, 10, 4, 1, 2, "connection refused", EPOCH.timestamp()
    )
    records.set_destination(job().id, "PACS", DestinationProgress(DestinationState.SENDING, 10, 3))
    records.set_destination(job().id, "PACS", retrying)
    assert find_job(redis, job().id).destinations == {
        "PACS": retrying,
        "ARCHIVE": DestinationProgress(DestinationState.PENDING),
    }


@pytest.mark.parametrize("state", JobState)
def test_a_removed_job_leaves_no_key(redis: Redis, records: JobRecords, state: JobState):
    made = job(export_to=("PACS", "ARCHIVE"), studies=(study_hash("1.2.3"), study_hash("1.2.4")))
    create_in(records, state, made)
    records.set_destination(job().id, "PACS", DestinationProgress(DestinationState.FAILED))
    records.remove(job().id)
    assert redis.keys("*") == []


def test_removing_a_job_leaves_the_others_alone(redis: Redis, records: JobRecords):
    other = job("20261122T104907-aaaaaaaaaaaa", export_to=("PACS",))
    for each in (job(export_to=("PACS", "ARCHIVE")), other):
        records.create(each, JobState.QUEUED, "dispatched")
    before = find_job(redis, other.id)
    records.remove(job().id)
    records.remove(job().id)
    assert list_jobs(redis) == [before]
    assert list_jobs(redis, state=JobState.QUEUED, ae_title="BRAIN") == [before]
    assert list_jobs(redis, destination="PACS") == [before]
    assert len(history(redis, other.id)) == 1


def test_a_destination_that_is_to_be_sent_to_again_is_listed_as_such(
    redis: Redis, records: JobRecords
):
    failed = DestinationEnd(state=DestinationState.FAILED, delivered=1, failed=2)
    made = job(
        export_to=("PACS", "ARCHIVE"), destinations=dict.fromkeys(("PACS", "ARCHIVE"), failed)
    )
    records.create(made, JobState.FAILED, "made")
    records.reopen_destinations(made.id, ["PACS"])
    for state in DestinationState:
        at_pacs = list_jobs(redis, destination="PACS", destination_state=state)
        assert len(at_pacs) == (state is DestinationState.PENDING)
    assert list_jobs(redis, destination="ARCHIVE", destination_state=DestinationState.FAILED)
