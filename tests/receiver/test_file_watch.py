import os
from pathlib import Path

from receiver.file_watch import FileWatch


def test_a_file_that_stays_the_same_has_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    path.write_text("a")
    watch = FileWatch(path)
    assert not any(watch.changed() for _ in range(5))


def test_a_change_is_told_once_and_only_when_the_file_is_still(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    path.write_text("a")
    watch = FileWatch(path)
    path.write_text("ab")
    assert not watch.changed()
    path.write_text("abc")
    assert not watch.changed()
    assert watch.changed()
    assert not watch.changed()


def test_another_file_under_the_same_name_is_a_change(tmp_path: Path) -> None:
    path, other = tmp_path / "settings", tmp_path / "other"
    for each in (path, other):
        each.write_text("a")
        os.utime(each, (1, 1))
    watch = FileWatch(path)
    other.rename(path)
    assert [watch.changed(), watch.changed()] == [False, True]


def test_a_file_that_goes_and_comes_back_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    watch = FileWatch(path)
    path.write_text("a")
    assert [watch.changed(), watch.changed()] == [False, True]
    path.unlink()
    assert [watch.changed(), watch.changed()] == [False, True]


def test_without_a_file_nothing_changes() -> None:
    assert not FileWatch(None).changed()
