"""`incoming/<receiver>/`: the folders of open associations, seen by nobody else."""

import os
import shutil
from pathlib import Path

from shared.delivery import ASSOCIATION_FILE, Association
from shared.ids import new_id
from shared.locked_file import LockedFile
from shared.tree import StorageTree

_ALIVE_FILE = "alive"


class Incoming:
    """One receiver process's folder. Whoever can take the lock on its `alive` file may clean up."""

    def __init__(self, receiver: str, folder: Path, alive: LockedFile) -> None:
        self.receiver = receiver
        self.folder = folder
        self._alive = alive

    @classmethod
    def create(cls, tree: StorageTree) -> "Incoming":
        """The folder appears under its name only once it is locked.

        Raises:
            OSError: the storage is away or full.
        """
        receiver = new_id()
        hidden = tree.incoming / f".{receiver}"
        hidden.mkdir(mode=0o750)
        alive = LockedFile.lock(hidden / _ALIVE_FILE)
        folder = hidden.rename(tree.incoming / receiver)
        return cls(receiver, folder, alive)

    def new_folder(self, association: Association) -> Path:
        """The private folder of an association, which says from its first moment whose it is.

        Raises:
            OSError: the folder cannot be made now; it may be tried again.
        """
        hidden = self.folder / f".{association.id}"
        try:
            hidden.mkdir(mode=0o750)
            (hidden / ASSOCIATION_FILE).write_text(association.model_dump_json(indent=1))
            return hidden.rename(self.folder / association.id)
        except OSError:
            shutil.rmtree(hidden, ignore_errors=True)
            raise

    def touch(self) -> None:
        """Changes something on the storage.

        Raises:
            OSError: it takes no changes now.
        """
        os.utime(self.folder / _ALIVE_FILE)

    def close(self) -> None:
        """Gives the lock up; the folder goes unless something was left in it for a person."""
        if [entry.name for entry in self.folder.iterdir()] == [_ALIVE_FILE]:
            hidden = self.folder.rename(self.folder.with_name(f".{self.receiver}"))
            (hidden / _ALIVE_FILE).unlink()
            hidden.rmdir()
        self._alive.close()
