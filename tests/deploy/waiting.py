"""Waiting for what must come true, never for luck."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def wait_for(condition: Callable[[], Result], seconds: float = 10) -> Result:
    """The condition's value once it is true in any way; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        time.sleep(0.02)
    return result
