"""How fast the receiver is, beside DCMTK, Orthanc, pynetdicom and the limit.

    python -m tests.bench.receive [--rounds N] [--associations 1,4,25] [--only WORDS] [--write]

All in one run, interleaved, medians; what counts is the ratios. `--write` puts the tables into
their section of docs/benchmarks.md.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.bench import targets
from tests.bench.page import Section, table, write
from tests.bench.targets import Target

_GIVE_UP = 60  # seconds for one run

_ROUNDS = 5
_KINDS = ("CT", "MR")
_ASSOCIATIONS = (1, 4, 25, 100, 1000)
# Instances of a run, by kind and associations: a second or so for who is fast.
_INSTANCES = {"CT": 600, "MR": 3000}


@dataclass(frozen=True)
class Comparison:
    """Targets that are like each other; the first is ours, which they are measured by."""

    title: str
    targets: tuple[Target, ...]


COMPARISONS = (
    Comparison(
        "Durable: from the first byte to the A-RELEASE-RP, all synced before it",
        (targets.PENSTOCK, targets.BARE_SYNCED),
    ),
    Comparison(
        "Without syncing (a switch of this bench), as DCMTK and pynetdicom never sync",
        (
            targets.PENSTOCK_UNSYNCED,
            targets.STORESCP,
            targets.STORESCP_FORK,
            targets.PYNETDICOM,
            targets.BARE,
        ),
    ),
    Comparison(
        "Each instance synced before its C-STORE response",
        (targets.PENSTOCK_EACH, targets.BARE_EACH, targets.ORTHANC),
    ),
)

Cell = tuple[str, int, str]  # kind, associations, target
Rates = dict[Cell, list[float]]  # instances a second; nothing for a run that did not end


def measure(
    folder: Path,
    *,
    comparisons: Sequence[Comparison] = COMPARISONS,
    kinds: Sequence[str] = _KINDS,
    counts: Sequence[int] = _ASSOCIATIONS,
    rounds: int = _ROUNDS,
) -> str:
    rates: Rates = defaultdict(list)
    hopeless: set[Cell] = set()  # did not end once, and will not in another minute
    folders = (folder / str(number) for number in count(1))
    for turn in range(rounds):
        for kind in kinds:
            for associations in counts:
                for target in _distinct(comparisons):
                    cell = kind, associations, target.name
                    if cell in hopeless:
                        continue
                    rate = _run(target, kind, associations, next(folders))
                    print(f"{turn} {kind} {associations:5} {target.name:34} {_rate(rate)}")
                    if rate is None:
                        hopeless.add(cell)
                    else:
                        rates[cell].append(rate)
    return (
        f"Instances a second, medians of {rounds} interleaved runs; in bold how many times the"
        f" other's rate ours is.\n\n{_tables(comparisons, rates)}"
    )


def _distinct(comparisons: Sequence[Comparison]) -> list[Target]:
    return list(dict.fromkeys(target for each in comparisons for target in each.targets))


def _run(target: Target, kind: str, associations: int, folder: Path) -> float | None:
    instances = max(int(_INSTANCES[kind] * target.share), associations)
    os.sync()  # what the run before left to write is not this one's to wait for
    with target.running(folder) as port:
        sender = [sys.executable, "-m", "tests.bench.sender", str(port), kind]
        bare = ["--bare"] if target.bare else []
        try:
            done = subprocess.run(
                [*sender, str(instances), str(associations), *bare],
                capture_output=True,
                text=True,
                timeout=_GIVE_UP,
                check=True,
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
            return None
    return instances / float(done.stdout)


def _tables(comparisons: Sequence[Comparison], rates: Rates) -> str:
    """Our median, and how many times another's it is."""
    texts = []
    for comparison in comparisons:
        rows = []
        for kind, associations in dict.fromkeys(cell[:2] for cell in rates):
            ours, *others = (
                _median(rates, kind, associations, target) for target in comparison.targets
            )
            row = [f"{_rate(ours)}/s", *(_against(ours, other) for other in others)]
            rows.append([f"{kind}, {associations} associations", *row])
        names = [target.name for target in comparison.targets]
        texts.append(f"### {comparison.title}\n\n{table(names, rows)}")
    return "\n".join(texts)


def _median(rates: Rates, kind: str, associations: int, target: Target) -> float | None:
    found = rates.get((kind, associations, target.name))
    return statistics.median(found) if found else None


def _against(ours: float | None, other: float | None) -> str:
    if ours is None or other is None:
        return "did not end"
    return f"{other:.0f}/s: **{ours / other:.2f}**"


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--associations", default=",".join(map(str, _ASSOCIATIONS)))
    parser.add_argument("--kinds", default=",".join(_KINDS))
    parser.add_argument("--only", default="", help="comparisons whose title has these words")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        text = measure(
            Path(folder),
            comparisons=[each for each in COMPARISONS if given.only in each.title],
            kinds=given.kinds.split(","),
            counts=[int(count) for count in given.associations.split(",")],
            rounds=given.rounds,
        )
    print(text)
    if given.write:
        write(Section.RECEIVING, text)


if __name__ == "__main__":
    main()
