"""`trash/`: whatever is removed is renamed here first, whole, and its files are unlinked after.

So nobody meets anything half removed, wherever the removal is cut short.
"""

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared import durable
from shared.tree import StorageTree


def throw_away(tree: StorageTree, folder: Path) -> Path:
    """Takes a folder out of everybody's sight; where it lies from now on.

    Raises:
        FileNotFoundError: it is gone: somebody else has moved it.
    """
    os.utime(folder)  # since when it lies there
    name = f"{folder.parent.name}-{folder.name}-{secrets.token_hex(3)}"
    durable.move(folder, tree.trash / name)
    return tree.trash / name


def empty_trash(tree: StorageTree, kept: float) -> list[str]:
    """Unlinks what lies there for longer than `kept` seconds; the names of what will not go."""
    limit = time.time() - kept
    return [
        thing.name
        for thing in tree.trash.iterdir()
        if _changed(thing) <= limit and not unlink(thing)
    ]


def unlink(thing: Path) -> bool:
    """False if something of it stays, which others own, say. Safe beside another who does this."""
    if thing.is_dir() and not thing.is_symlink():
        shutil.rmtree(thing, onerror=_go_on)
    else:
        with contextlib.suppress(OSError):
            thing.unlink()
    return not os.path.lexists(thing)


def _changed(thing: Path) -> float:
    try:
        return thing.lstat().st_mtime
    except FileNotFoundError:  # another has just unlinked it
        return float("inf")


def _go_on(call: Callable[..., Any], path: str, error: Any) -> None:
    """What cannot be unlinked now is met again the next time."""
