"""How seldom what is kept is looked at."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.workers.site import id_of
from workers.keeping.shelf import Shelf

HOUR = 3600.0


class Kept:
    """A shelf whose entries are removed at the times given; counts its readings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.times: dict[str, datetime | None] = {}
        self.read: list[str] = []
        self.shelf = Shelf(folder, self._time, lambda name: (folder / name).rmdir())

    def put(self, age: timedelta, removal_in: timedelta | None) -> str:
        name = id_of(age)
        (self.folder / name).mkdir()
        self.times[name] = None if removal_in is None else datetime.now(UTC) + removal_in
        return name

    def clear(self, shortest: float = HOUR, deadline: float = float("inf")) -> bool:
        self.read.clear()
        return self.shelf.clear(shortest, deadline)

    def _time(self, name: str) -> datetime | None:
        self.read.append(name)
        return self.times[name]

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_what_is_past_its_time_goes_and_nothing_else(kept: Kept) -> None:
    kept.put(timedelta(hours=3), timedelta(seconds=-1))
    stays = {
        kept.put(timedelta(hours=3), timedelta(hours=1)),
        kept.put(timedelta(hours=3), None),
    }
    assert kept.clear()
    assert kept.names() == stays


def test_one_that_is_too_young_is_not_even_read(kept: Kept) -> None:
    kept.put(timedelta(minutes=59), timedelta(seconds=-1))
    old = kept.put(timedelta(minutes=61), timedelta(hours=1))
    kept.clear()
    assert kept.read == [old]


def test_one_is_read_again_when_its_time_has_come(kept: Kept) -> None:
    soon = kept.put(timedelta(hours=3), timedelta(seconds=0.3))
    for removal_in in (timedelta(hours=1), timedelta(days=99), None):
        kept.put(timedelta(hours=3), removal_in)
    kept.clear()
    assert len(kept.read) == 4
    kept.clear()
    assert kept.read == []
    time.sleep(0.35)
    kept.clear()
    assert kept.read == [soon]
    assert soon not in kept.names()


def test_new_settings_have_all_read_again(kept: Kept) -> None:
    kept.put(timedelta(hours=3), None)
    kept.clear()
    kept.shelf.look_anew()
    kept.clear()
    assert len(kept.read) == 1


def test_a_look_that_takes_too_long_goes_on_the_next_time(kept: Kept) -> None:
    kept.put(timedelta(hours=3), timedelta(seconds=-1))
    assert not kept.clear(deadline=time.monotonic() - 1)
    assert len(kept.names()) == 1
    assert kept.clear()
    assert kept.names() == set()


def test_one_that_cannot_be_removed_keeps_no_other_from_it(kept: Kept) -> None:
    stuck = kept.put(timedelta(hours=4), timedelta(seconds=-1))
    (kept.folder / stuck / "held").touch()
    kept.put(timedelta(hours=3), timedelta(seconds=-1))
    assert kept.clear()
    assert kept.names() == {stuck}
    kept.clear()
    assert kept.read == []
