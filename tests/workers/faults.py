"""Being killed after any write: the n-th change of the disk or of Redis is the last one."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NoReturn
from unittest.mock import patch

from shared.registry import scripts

_WRITES = (
    *(
        (os, name)
        for name in ("mkdir", "rename", "link", "fsync", "ftruncate", "write", "rmdir", "unlink")
    ),
    (scripts, "run"),
)


class KilledError(BaseException):
    """No code of ours gets to catch it."""


def _raise() -> NoReturn:
    raise KilledError


def kill_process() -> NoReturn:
    """No `finally` and no lock's release comes after it."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody outlives that")


class Killer:
    """Its block ends with this thread's n-th write, or as it is, with fewer."""

    def __init__(self, after: int, strike: Callable[[], NoReturn] = _raise) -> None:
        self.struck = False
        self._strike = strike
        self._left = after
        self._patches = [
            patch.object(owner, name, self._wrap(getattr(owner, name))) for owner, name in _WRITES
        ]

    def __enter__(self) -> "Killer":
        self._thread = threading.current_thread()
        for each in self._patches:
            each.start()
        return self

    def __exit__(self, kind: object, *_: object) -> bool:
        for each in self._patches:
            each.stop()
        return kind is KilledError

    def _wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            if threading.current_thread() is not self._thread:
                return call(*args, **options)
            if self.struck:  # the dead do nothing more, not even in a `finally`
                raise KilledError
            result = call(*args, **options)
            self._left -= 1
            if self._left == 0:
                self.struck = True
                self._strike()
            return result

        return wrapped


def kills(least: int) -> Iterator[Killer]:
    """One for each write of a block that each is to be put around, and one that does not strike.

    Fewer than `least` writes would mean that they are not seen any more.
    """
    for after in count(1):
        killer = Killer(after)
        yield killer
        if not killer.struck:
            assert after > least
            return
