"""A file's bytes on their way to a socket."""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def rest_of(buffers: list[bytes | memoryview], sent: int) -> list[bytes | memoryview]:
    """What remains of the buffers after the first `sent` bytes."""
    for index, buffer in enumerate(buffers):
        if sent < len(buffer):
            return [memoryview(buffer)[sent:], *buffers[index + 1 :]]
        sent -= len(buffer)
    return []


@contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """A file's bytes by way of the page cache: a data set of gigabytes costs no memory of ours."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            yield memoryview(b"")
            return
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with memoryview(content) as view:
            yield view
        content.close()
