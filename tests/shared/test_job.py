"""What the disk's record of a job says of its state."""

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.destination_state import DestinationState
from shared.job import DestinationEnd, Job, Result
from shared.job_state import FINISHED, MAY_FOLLOW, JobState
from tests.shared.registry.jobs import WAYS, job

RESULT = Result(attempt=1, folder="attempts/1/output")
DELIVERED = DestinationEnd(state=DestinationState.DELIVERED, delivered=3)
WARNED = DestinationEnd(
    state=DestinationState.DELIVERED_WITH_WARNINGS, delivered=3, warnings=1, reason="coerced"
)
REFUSED = DestinationEnd(state=DestinationState.FAILED, delivered=1, failed=2, reason="refused")
GIVEN_UP = DestinationEnd(state=DestinationState.FAILED, delivered=0, reason="given up")
ENDS = (DELIVERED, WARNED, REFUSED, GIVEN_UP)


def ended(*ends: DestinationEnd | None) -> Job:
    """A job with a result and a destination for each end; None for one that is still open."""
    names = tuple(f"D{number}" for number in range(len(ends)))
    made = job(export_to=names, result=RESULT)
    for name, end in zip(names, ends, strict=True):
        made = made.with_destination(name, end) if end else made
    return made


def test_without_a_result_it_is_queued_with_or_without_destinations():
    assert job().state is JobState.QUEUED
    assert job(export_to=("PACS",)).state is JobState.QUEUED


def test_a_result_for_nobody_is_the_end():
    assert job(result=RESULT).state is JobState.DONE


def test_a_result_with_destinations_is_exported():
    made = job(export_to=("PACS", "ARCHIVE"), result=RESULT)
    assert made.state is JobState.EXPORTING
    assert made.open_destinations == ("PACS", "ARCHIVE")


@pytest.mark.parametrize("end", ENDS)
def test_it_is_exporting_until_every_destination_has_ended(end: DestinationEnd):
    made = ended(end, None)
    assert made.state is JobState.EXPORTING
    assert made.open_destinations == ("D1",)


@pytest.mark.parametrize(("first", "second"), list(product(ENDS, ENDS)))
def test_with_all_ended_it_is_done_unless_one_failed(first: DestinationEnd, second: DestinationEnd):
    made = ended(first, second)
    failed = DestinationState.FAILED in (first.state, second.state)
    assert made.open_destinations == ()
    assert made.state is (JobState.FAILED if failed else JobState.DONE)
    assert bool(made.reason) == failed


def test_a_failure_is_the_end_whatever_else_is_known():
    assert job(failure="exit code 1").state is JobState.FAILED
    assert job(failure="exit code 1", result=RESULT, export_to=("PACS",)).state is JobState.FAILED
    assert job(failure="exit code 1").reason == "exit code 1"


@pytest.mark.parametrize(
    "made",
    [job(), job(failure="exit code 1"), job(result=RESULT), ended(None), ended(REFUSED)],
)
def test_cancelled_goes_before_everything(made: Job):
    assert made.model_copy(update={"cancelled": True}).state is JobState.CANCELLED


def test_the_reason_names_each_destination_that_failed_even_where_nothing_was_refused():
    assert ended(REFUSED, WARNED, GIVEN_UP).reason == "D0: refused; D2: given up"
    assert ended(DELIVERED, WARNED).reason == ""


def test_a_destination_that_ended_again_ends_as_it_did_last():
    again = ended(REFUSED).with_destination("D0", DELIVERED)
    assert again.state is JobState.DONE
    assert again.destinations == {"D0": DELIVERED}


@given(
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.lists(st.sampled_from((None, *ENDS)), max_size=3),
)
def test_a_job_reads_back_as_it_was_written(
    flags: tuple[bool, bool, bool], ends: list[DestinationEnd | None]
):
    failed, cancelled, incomplete = flags
    made = ended(*ends).model_copy(
        update={
            "failure": "x" if failed else "",
            "cancelled": cancelled,
            "incomplete": incomplete,
        }
    )
    again = Job.model_validate_json(made.model_dump_json())
    assert again == made
    assert again.state is made.state


def test_a_newer_versions_keys_are_passed_over():
    text = job().model_dump_json().replace("{", '{"something_new": 1, ', 1)
    assert Job.model_validate_json(text) == job()


def test_the_ways_to_each_state_are_legal_and_no_finished_one_but_failed_goes_on():
    assert set(WAYS) == set(MAY_FOLLOW) == set(JobState)
    for way in WAYS.values():
        for old, new in pairwise(way):
            assert old in MAY_FOLLOW[new]
    left = {old for new, sources in MAY_FOLLOW.items() for old in sources - {new}}
    assert left & FINISHED == {JobState.FAILED}
