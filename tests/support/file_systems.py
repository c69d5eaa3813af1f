"""Small file systems to fill and to break; mounting one takes root."""

import fcntl
import os
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

import pytest

_EXT4_IOC_SHUTDOWN = 0x8004587D
_SHUTDOWN_WITHOUT_LOG = 2


@contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory, by mount options such as `size=8m` or `nr_inodes=20`."""
    folder.mkdir()
    _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _run("umount", str(folder))


class Ext4:
    """An ext4 of its own on a loop device, which can fail as a disk does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def turn_read_only(self) -> None:
        """As the kernel does when it finds an error in the file system; open files or not."""
        source = subprocess.check_output(
            ["findmnt", "-n", "-o", "SOURCE", str(self.folder)], text=True
        )
        device = Path(source.strip()).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")

    def fail(self) -> None:
        """From here on whatever touches the file system gets EIO."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _SHUTDOWN_WITHOUT_LOG))
        finally:
            os.close(descriptor)


@contextmanager
def ext4(folder: Path, megabytes: int = 32) -> Iterator[Ext4]:
    folder.mkdir()
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    _run("mkfs.ext4", "-q", str(image))
    _run("mount", "-o", "loop,errors=remount-ro", str(image), str(folder))
    try:
        yield Ext4(folder)
    finally:
        _run("umount", str(folder))
        image.unlink()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@cache
def _can_mount(make: Callable[[Path], AbstractContextManager[object]]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            with make(Path(folder) / "made"):
                return True
        except (subprocess.CalledProcessError, OSError):
            return False


def _small_tmpfs(folder: Path) -> AbstractContextManager[Path]:
    return tmpfs(folder, "size=1m")


needs_tmpfs = pytest.mark.skipif(
    not _can_mount(_small_tmpfs), reason="this user may not mount a tmpfs"
)
needs_ext4 = pytest.mark.skipif(not _can_mount(ext4), reason="this user may not mount an ext4")
