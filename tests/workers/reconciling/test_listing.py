import os
from pathlib import Path

import pytest

from workers.reconciling import listing
from workers.reconciling.listing import Listing

ONE, TWO, THREE = (f"20261122T104907-{n:012x}" for n in (1, 2, 3))


def test_what_comes_within_the_same_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    ids = Listing(tmp_path)
    for expected, name in (({ONE}, ONE), ({ONE, TWO}, TWO), ({ONE, TWO, THREE}, THREE)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path, ns=(1, 1))  # the time does not show it
        assert ids.ids() == expected


def test_a_folder_that_stayed_the_same_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_SETTLED", -1.0)
    ids = Listing(tmp_path)
    (tmp_path / ONE).mkdir()
    (tmp_path / "lost+found").mkdir()
    found = ids.ids()
    assert found == {ONE}
    assert ids.ids() is found
    (tmp_path / TWO).mkdir()
    assert ids.ids() == {ONE, TWO}


def test_a_storage_that_is_away_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Listing(tmp_path / "away").ids()
