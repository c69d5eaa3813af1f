import os
import time
from pathlib import Path

import pytest

from shared.trash import empty_trash, throw_away, unlink
from shared.tree import StorageTree
from tests.support.file_systems import needs_tmpfs, tmpfs


@pytest.fixture
def tree(tmp_path: Path) -> StorageTree:
    tree = StorageTree(tmp_path / "storage")
    tree.create()
    return tree


def folder_in(parent: Path, name: str = "20261122T104907-3f9c2a41d07e") -> Path:
    (parent / name / "input").mkdir(parents=True)
    (parent / name / "input" / "1.2.3.dcm").write_text("x")
    return parent / name


def lie(grave: Path, seconds: float) -> None:
    """As if it had been thrown away so long ago."""
    then = time.time() - seconds
    os.utime(grave, (then, then))


def test_what_is_thrown_away_is_in_the_trash_whole(tree: StorageTree) -> None:
    folder = folder_in(tree.jobs)
    grave = throw_away(tree, folder)
    assert not folder.exists()
    assert grave.parent == tree.trash
    assert (grave / "input" / "1.2.3.dcm").read_text() == "x"


def test_one_of_the_same_name_is_thrown_away_beside_it(tree: StorageTree) -> None:
    graves = {throw_away(tree, folder_in(tree.jobs)) for _ in range(2)}
    assert set(tree.trash.iterdir()) == graves


def test_who_comes_second_is_told(tree: StorageTree) -> None:
    folder = folder_in(tree.jobs)
    throw_away(tree, folder)
    with pytest.raises(FileNotFoundError):
        throw_away(tree, folder)


def test_it_lies_there_from_when_it_was_thrown_away(tree: StorageTree) -> None:
    folder = folder_in(tree.jobs)
    lie(folder, 3600)
    grave = throw_away(tree, folder)
    assert empty_trash(tree, kept=60) == []
    assert grave.exists()
    lie(grave, 61)
    assert empty_trash(tree, kept=60) == []
    assert list(tree.trash.iterdir()) == []


def test_whatever_else_lies_there_goes_too(tree: StorageTree, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tree.trash / "link").symlink_to(tmp_path / "elsewhere")
    (tree.trash / "file").write_text("x")
    lie(tree.trash / "file", 1)
    assert empty_trash(tree, kept=0) == []
    assert list(tree.trash.iterdir()) == []
    assert (tmp_path / "elsewhere").exists()


def test_what_another_has_unlinked_is_no_fault(tree: StorageTree) -> None:
    assert unlink(tree.trash / "gone")


@needs_tmpfs
def test_what_cannot_be_unlinked_is_named_and_the_rest_goes(tree: StorageTree) -> None:
    stuck, other = throw_away(tree, folder_in(tree.jobs)), throw_away(tree, folder_in(tree.jobs))
    with tmpfs(stuck / "mounted", "size=1m"):
        lie(stuck, 10)
        assert empty_trash(tree, kept=0) == [stuck.name]
        assert list(stuck.iterdir()) == [stuck / "mounted"]
        assert not other.exists()
    lie(stuck, 10)
    assert empty_trash(tree, kept=0) == []
