from pathlib import Path

import pytest

from tests.soak.run import soak


@pytest.mark.timeout(300)
def test_through_troubles_of_every_kind_nothing_released_is_lost_or_sent_twice_for_no_reason(
    tmp_path: Path,
) -> None:
    """`make soak` goes on for longer, with other seeds."""
    assert soak(tmp_path, seed=243, seconds=8) == []
