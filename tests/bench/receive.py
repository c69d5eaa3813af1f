"""How fast the receiver is, beside DCMTK, Orthanc, pynetdicom and the limit.

    python -m tests.bench.receive [--rounds N] [--associations 1,4,25] [--only WORDS] [--write]

All in one run, interleaved, medians; what counts is the ratios. `--write` puts the tables into
docs/benchmarks.md.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path

from tests.bench import targets
from tests.bench.targets import Target

DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_GIVE_UP = 60  # seconds for one run

# Instances of a run, by kind and associations: a second or so for who is fast.
_INSTANCES = {"CT": 600, "MR": 3000}


@dataclass(frozen=True)
class Comparison:
    """Targets that are like each other, and the one that they are measured by."""

    title: str
    targets: tuple[Target, ...]

    @property
    def ours(self) -> Target:
        return self.targets[0]


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
    comparisons: Sequence[Comparison], kinds: Sequence[str], counts: Sequence[int], rounds: int
) -> Rates:
    rates: Rates = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        folders = (Path(folder) / str(number) for number in count(1))
        for turn in range(rounds):
            for kind in kinds:
                for associations in counts:
                    for target in _distinct(comparisons):
                        rate = _run(target, kind, associations, next(folders))
                        print(f"{turn} {kind} {associations:5} {target.name:34} {_rate(rate)}")
                        if rate is not None:
                            rates[kind, associations, target.name].append(rate)
    return rates


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


def tables(comparisons: Sequence[Comparison], rates: Rates) -> str:
    """Markdown: our median, and how many times another's it is."""
    lines = []
    for comparison in comparisons:
        others = comparison.targets[1:]
        lines += [f"### {comparison.title}", ""]
        lines.append(f"| | {comparison.ours.name} | " + " | ".join(t.name for t in others) + " |")
        lines.append("|---|" + "---|" * len(comparison.targets))
        for kind, associations in dict.fromkeys(cell[:2] for cell in rates):
            cells = [_median(rates, kind, associations, target) for target in comparison.targets]
            row = [f"{_rate(cells[0])}/s", *(_against(cells[0], cell) for cell in cells[1:])]
            lines.append(f"| {kind}, {associations} associations | " + " | ".join(row) + " |")
        lines.append("")
    return "\n".join(lines)


def _median(rates: Rates, kind: str, associations: int, target: Target) -> float | None:
    found = rates.get((kind, associations, target.name))
    return statistics.median(found) if found else None


def _against(ours: float | None, other: float | None) -> str:
    if ours is None or other is None:
        return "did not end"
    return f"{other:.0f}/s: **{ours / other:.2f}**"


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.0f}"


def _machine() -> str:
    dcmtk = subprocess.run(
        [shutil.which("storescp", path="/usr/bin:/usr/local/bin") or "storescp", "--version"],
        capture_output=True,
        text=True,
    ).stdout.split()[2:3]
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, pynetdicom {version('pynetdicom')}, "
        f"DCMTK {''.join(dcmtk)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--associations", default="1,4,25,100,1000")
    parser.add_argument("--kinds", default="CT,MR")
    parser.add_argument("--only", default="", help="comparisons whose title has these words")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    chosen = [each for each in COMPARISONS if given.only in each.title]
    counts = [int(count) for count in given.associations.split(",")]
    rates = measure(chosen, given.kinds.split(","), counts, given.rounds)
    text = tables(chosen, rates)
    print(text)
    if given.write:
        DOCUMENT.write_text(
            "# Benchmarks\n\n"
            f"`make bench`, medians of {given.rounds} interleaved runs on {_machine()}; sender and"
            " receiver share the cores. Instances a second; in bold how many times the other's"
            " rate ours is. The absolute figures are this machine's, the ratios travel better.\n\n"
            + text
        )


if __name__ == "__main__":
    main()
