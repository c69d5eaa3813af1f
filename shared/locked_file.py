"""Advisory locks (flock) that live as long as any process holds the open file."""

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path


class LockedFile:
    """An exclusive lock on a file; a child that inherits the descriptor holds it on."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @classmethod
    def try_lock(cls, path: Path) -> "LockedFile | None":
        """The lock, or None while another holds it. The file is made if it is missing."""
        try:
            return cls._open(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None

    @classmethod
    def lock(cls, path: Path) -> "LockedFile":
        """The lock, waited for: only where it is held for moments."""
        return cls._open(path, fcntl.LOCK_EX)

    @classmethod
    def _open(cls, path: Path, operation: int) -> "LockedFile":
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        with ExitStack() as unless_held:
            unless_held.callback(os.close, descriptor)
            fcntl.flock(descriptor, operation)
            unless_held.pop_all()
        return cls(path, descriptor)

    def close(self) -> None:
        os.close(self.descriptor)

    def __enter__(self) -> "LockedFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
