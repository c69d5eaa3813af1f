"""DCMTK's storescu as it comes, sending to us and to DCMTK's own storescp as it comes.

It leaves Nagle's algorithm on: the end of each message waits for the acknowledgement of what came
before it, which a receiver delays unless it takes care not to.
"""

import os
import statistics
import subprocess
import time
from collections import defaultdict
from pathlib import Path

from tests.bench.instances import CT, MR, write_files
from tests.bench.page import table
from tests.bench.targets import ENVIRONMENT, PENSTOCK, STORESCP_PLAIN, Target
from tests.support.programs import program

_ROUNDS = 5
_INSTANCES = {MR: 1000, CT: 500}
_FEW = 24  # for storescp: a second or two


def measure(folder: Path) -> str:
    folder.mkdir()
    rows = []
    for kind, instances in _INSTANCES.items():
        files = write_files(kind, folder / kind.name, instances)
        rates: dict[Target, list[float]] = defaultdict(list)
        for turn in range(_ROUNDS):
            for target, sent in ((PENSTOCK, files), (STORESCP_PLAIN, files[:_FEW])):
                place = folder / f"{kind.name} {turn} {target.name}"
                rates[target].append(_rate(target, place, sent))
        ours, theirs = (statistics.median(rates[each]) for each in (PENSTOCK, STORESCP_PLAIN))
        rows.append([kind.name, f"{ours:.0f}/s", f"{theirs:.0f}/s: **{ours / theirs:.0f}**"])
    return (
        "Instances a second that DCMTK's `storescu` gets stored in one association when nobody sets"
        " `TCP_NODELAY` in its environment or in that of `storescp`, process start included;"
        f" medians of {_ROUNDS} interleaved runs. Ours are synced before the A-RELEASE-RP."
        " Wanted: at least 20 times as many at 32 KB.\n\n"
        + table([PENSTOCK.name, STORESCP_PLAIN.name], rows)
    )


def _rate(target: Target, place: Path, files: list[Path]) -> float:
    os.sync()  # what the run before left to write is not this one's to wait for
    with target.running(place) as port:
        command = [program("storescu"), "-aec", "BENCH", "127.0.0.1", str(port), *map(str, files)]
        began = time.perf_counter()
        subprocess.run(command, env=ENVIRONMENT, check=True, timeout=60)
        return len(files) / (time.perf_counter() - began)
