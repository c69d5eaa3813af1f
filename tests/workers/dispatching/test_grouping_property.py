"""Whatever comes in whatever order, with kills in between: each instance is in one job."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.workers.faults import Killer
from tests.workers.grouping import LONGEST, QUIET, GroupingSite, image
from tests.workers.site import Site

NEVER = 10_000  # writes

images = st.builds(
    image,
    number=st.integers(1, 3),
    study=st.sampled_from(["1.9.1", "1.9.2", ""]),
    fill=st.integers(0, 1),
)
deliveries = st.lists(images, min_size=1, max_size=3, unique_by=lambda each: each.uid)
# A delivery; how far its dispatch comes; whether groups are closed then, and how late that is;
# how far the closing comes.
steps = st.tuples(
    deliveries,
    st.sampled_from(["CT01", "MR01"]),
    st.integers(1, 60) | st.just(NEVER),
    st.sampled_from([None, QUIET + 1, LONGEST + 1]),
    st.integers(1, 30) | st.just(NEVER),
)


@pytest.fixture
def grouping(make_site: Callable[..., Site]) -> GroupingSite:
    return GroupingSite(make_site, "one", "two")


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(course=st.lists(steps, min_size=1, max_size=5))
def test_each_instance_ends_in_exactly_one_job_of_its_group(
    grouping: GroupingSite, course: list
) -> None:
    grouping.empty()
    unfinished = []
    for instances, calling, writes, late, writes_of_closing in course:
        delivery_id = grouping.site.commit(*instances, calling_ae_title=calling)
        killer = Killer(writes)
        grouping.dispatch_and_kill(delivery_id, killer)
        if killer.struck:
            unfinished.append(delivery_id)
        if late is not None:
            with Killer(writes_of_closing):
                grouping.put_forward(late)
            grouping.restart()
            grouping.site.reconcile()
    for delivery_id in unfinished:
        grouping.dispatch_again(delivery_id)
    grouping.put_forward(LONGEST + 1)
    grouping.site.reconcile()
    grouping.check_each_instance_is_in_one_job_of_its_group()
