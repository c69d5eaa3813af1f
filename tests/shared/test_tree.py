"""The storage tree."""

import shutil
import stat
from pathlib import Path

import pytest

from shared.tree import StorageTree, Usage, ids_in

FOLDERS = {
    *("incoming", "committed", "aborted", "deliveries"),
    *("jobs", "groups", "paused", "quarantine", "trash"),
    *("commitments", "reports"),
}


def test_every_folder_is_made_for_us_and_our_group_only(tmp_path: Path):
    tree = StorageTree(tmp_path / "srv" / "penstock")
    tree.create()
    assert {path.name for path in tree.root.iterdir()} == FOLDERS
    for path in (tree.root, *tree.root.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o027 == 0


def test_making_it_again_leaves_what_is_there(tmp_path: Path):
    tree = StorageTree(tmp_path)
    tree.create()
    (tree.committed / "20261122T104907-3f9c2a41d07e").mkdir()
    shutil.rmtree(tree.trash)
    tree.create()
    assert tree.trash.is_dir()
    assert list(ids_in(tree.committed)) == ["20261122T104907-3f9c2a41d07e"]


def test_ids_come_oldest_first_and_strangers_are_skipped(tmp_path: Path):
    ids = [f"202611{day:02}T104907-3f9c2a41d07e" for day in (3, 1, 2)]
    for name in (*ids, "lost+found", ".nfs0000", "20261101T104907-3f9c2a41d07e.new"):
        (tmp_path / name).mkdir()
    assert list(ids_in(tmp_path)) == sorted(ids)


def test_usage_is_what_the_system_says(tmp_path: Path):
    usage = StorageTree(tmp_path).usage()
    known = shutil.disk_usage(tmp_path)
    assert usage.total == known.total
    assert abs(usage.free - known.free) < 1 << 30  # others write meanwhile
    assert 0 < usage.used_percent <= 100


def test_what_only_root_may_use_is_not_free():
    assert Usage(total=1000, used=600, free=200).used_percent == 75
    assert Usage(total=0, used=0, free=0).used_percent == 100


def test_a_storage_that_is_away_is_an_error(tmp_path: Path):
    with pytest.raises(OSError, match="No such file"):
        StorageTree(tmp_path / "away").usage()
