from pathlib import Path

from receiver.incoming import Incoming
from shared.ids import is_id
from shared.locked_file import LockedFile
from shared.tree import StorageTree


def test_the_folder_is_locked_from_the_moment_it_is_seen(tmp_path: Path) -> None:
    tree = StorageTree(tmp_path)
    tree.create()
    incoming = Incoming.create(tree)
    (folder,) = tree.incoming.iterdir()
    assert folder == incoming.folder
    assert is_id(folder.name)
    assert LockedFile.try_lock(folder / "alive") is None
    incoming.close()
    assert list(tree.incoming.iterdir()) == []


def test_a_folder_with_something_left_in_it_stays_and_is_unlocked(tmp_path: Path) -> None:
    tree = StorageTree(tmp_path)
    tree.create()
    incoming = Incoming.create(tree)
    (incoming.folder / "left").mkdir()
    incoming.close()
    lock = LockedFile.try_lock(incoming.folder / "alive")
    assert lock is not None
    lock.close()
