"""When a group is complete."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.group import Group, group_key

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def group(grown: float = 0) -> Group:
    return Group(key="k", quiet_period=60, max_wait=600, opened=NOON, grown=after(grown))


@pytest.mark.parametrize(
    ("grown", "now", "quiet", "arriving"),
    [
        (0, 59, False, False),
        (0, 60, True, False),
        (30, 60, False, False),
        (30, 90, True, False),
        (590, 599, False, False),
        (590, 600, True, True),  # the longest wait is over
        (0, 599, True, False),
        (0, 600, True, True),
    ],
)
def test_it_may_close_once_it_was_quiet_or_its_longest_wait_is_over(
    grown: float, now: float, quiet: bool, arriving: bool
):
    assert group(grown).may_close(after(now), arriving=False) is quiet
    assert group(grown).may_close(after(now), arriving=True) is arriving


def test_it_is_due_a_quiet_period_after_it_grew_and_never_after_its_longest_wait():
    assert group().due == after(60)
    assert group(grown=100).due == after(160)
    assert group(grown=590).due == group(grown=590).latest == after(600)


def test_its_key_is_that_of_all_its_parts_together_and_shows_none_of_them():
    uid = "1.2.826.0.1.3680043.9"
    key = group_key("BRAIN", "CT01", "one", "study", uid)
    assert key == group_key("BRAIN", "CT01", "one", "study", uid)
    assert uid not in key
    assert key not in {
        group_key("BRAIN", "CT01", "one", "series", uid),
        group_key("BRAIN", "CT01", "two", "study", uid),
        group_key("BRAIN", "CT0", "1one", "study", uid),
    }
