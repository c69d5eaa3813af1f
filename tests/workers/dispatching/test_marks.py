"""What is odd about instances is marked on their job, and they are delivered all the same."""

from typing import Any

import pytest

from shared.delivery import Instance
from shared.marks import Marks
from shared.registry.views import find_job
from tests.support.data_sets import BIG_ENDIAN, DEFLATED, described, encoded
from tests.support.samples import CT, EXPLICIT, IMPLICIT, SECONDARY_CAPTURE
from tests.workers.site import Given, Site
from workers.steps.outcome import Done


def given(uid: str, data_set_uid: str = "", syntax: str = EXPLICIT, **elements: Any) -> Given:
    """An instance whose data set may say that it is another."""
    data_set = described(data_set_uid or uid, **elements)
    return Given(uid, encoded(data_set, syntax), transfer_syntax=syntax)


def marks_of(site: Site, *instances: Given, **fields: Any) -> Marks:
    """As the record, which is the same as on the disk, has them; all of them are in the input."""
    job_id = site.dispatched(*instances, **fields)
    assert site.run_pipeline(job_id) == Done()
    job = site.folder(job_id).read()
    assert job.instances == len(list(site.folder(job_id).input.iterdir())) == len(instances)
    assert find_job(site.redis, job_id).marks == job.marks
    return job.marks


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
def test_what_is_as_it_should_be_has_no_mark(site: Site, syntax: str) -> None:
    assert marks_of(site, given("1.2.3", syntax=syntax), given("1.2.4", syntax=syntax)) == Marks()


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
@pytest.mark.parametrize("broken", [b"", b"\xff" * 1000, b"no data set" * 50])
def test_a_data_set_that_cannot_be_parsed_is_delivered_and_marked(
    site: Site, broken: bytes, syntax: str
) -> None:
    damaged = Given("1.2.4", broken, transfer_syntax=syntax)
    assert marks_of(site, given("1.2.3"), damaged) == Marks(unreadable=1)


def test_a_uid_in_the_data_set_that_is_not_the_commands_is_marked(site: Site) -> None:
    other_class = given("1.2.4", SOPClassUID=SECONDARY_CAPTURE)
    instances = given("1.2.3", "1.2.33"), other_class, given("1.2.5")
    assert marks_of(site, *instances) == Marks(differing=2)


def test_a_sop_class_that_the_data_set_lacks_is_not_the_commands(site: Site) -> None:
    assert marks_of(site, given("1.2.3", SOPClassUID="")) == Marks(differing=1)


def test_a_different_data_set_under_the_same_uid_is_marked(site: Site) -> None:
    instances = given("1.2.3"), given("1.2.4")
    received = tuple(
        Instance(CT, each.uid, EXPLICIT, f"{each.uid}.dcm", 1, conflicts=each.uid == "1.2.4")
        for each in instances
    )
    assert marks_of(site, *instances, instances=received) == Marks(conflicting=1)
