"""How soon a receiver that is started listens."""

import statistics
import time
from pathlib import Path

from tests.bench.page import table
from tests.bench.targets import PENSTOCK

_STARTS = 15


def measure(folder: Path) -> str:
    seconds = statistics.median(_start(folder / str(number)) for number in range(_STARTS))
    return (
        "From the start of the process `penstock receive` to the first connection that it takes,"
        f" tried every 10 ms; median of {_STARTS} starts.\n\n"
        + table(["measured", "wanted"], [["listening after", f"{seconds:.2f} s", "under 0.6 s"]])
    )


def _start(folder: Path) -> float:
    began = time.perf_counter()
    with PENSTOCK.running(folder):
        return time.perf_counter() - began
