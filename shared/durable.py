"""Writes that survive a power cut, in the order that POSIX asks for."""

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Makes the names in a directory durable (creations, renames, removals)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Replaces a file whole: written aside, synced, renamed over, its name synced.

    `mode` is what the umask leaves of it.
    """
    aside = path.with_name(path.name + ".new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)
    sync_directory(path.parent)


def move(source: Path, target: Path) -> None:
    """Renames and makes both parents' names durable.

    Raises:
        FileNotFoundError: the source is gone: somebody else has moved it.
        OSError: the target exists and is not empty, or the disk failed.
    """
    source.rename(target)
    sync_directory(target.parent)
    if source.parent != target.parent:
        sync_directory(source.parent)
