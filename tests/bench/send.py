"""How fast the sender is, beside DCMTK's storescu and pynetdicom's.

    python -m tests.bench.send [--rounds N] [--write]

All in one run, interleaved, medians; what counts is the ratios. A run is a process that sends
files, or one for each association; what such a process takes for a single file, its start, is
subtracted.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path
from typing import NamedTuple

from shared.part10 import FileMeta
from tests.bench.instances import CT, MR, TRANSFER_SYNTAX, Kind, write_files
from tests.bench.page import Section, table, write
from tests.bench.scu import CALLER
from tests.bench.targets import ENVIRONMENT, SINK, STORESCP_IGNORING, Target
from tests.support.frames import MB
from tests.support.process import forget_peak_memory, peak_memory, resident_memory
from tests.support.programs import program
from workers.scu.association import associate
from workers.scu.contexts import contexts_for
from workers.scu.peer import Peer

_ROUNDS = 5
_ASSOCIATIONS = (1, 2)
_FILES = {CT: 500, MR: 2000}
_INSTANCES = {CT: 3000, MR: 10_000}  # of a run: a second or so for who is fast
_LARGE = 2048 * MB


class NotSentError(Exception):
    """A sender has failed: pynetdicom's now and then misses an answer that comes at once."""


class Cost(NamedTuple):
    seconds: float
    processor: float  # seconds, of the sender alone


@dataclass(frozen=True)
class Sender:
    """`commands` are those for a port, a number of associations, and paths."""

    name: str
    commands: Callable[[int, int, Sequence[str]], list[list[str]]]
    no_delay: bool = True
    at_most: int = 10_000  # instances: fewer for who would take minutes

    def cost(self, port: int, associations: int, paths: Sequence[str]) -> Cost:
        environment = ENVIRONMENT | ({"TCP_NODELAY": "1"} if self.no_delay else {})
        began = time.perf_counter()
        processes = [
            subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
            for command in self.commands(port, associations, paths)
        ]
        processor = 0.0
        for process in processes:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            processor += used.ru_utime + used.ru_stime
        if any(process.returncode for process in processes):
            raise NotSentError
        return Cost(time.perf_counter() - began, processor)


def _storescu(port: int, associations: int, paths: Sequence[str]) -> list[list[str]]:
    command = [program("storescu"), "-aec", "BENCH", "127.0.0.1", str(port)]
    return [[*command, *paths[index::associations]] for index in range(associations)]


def _module(name: str, *options: str) -> Callable[[int, int, Sequence[str]], list[list[str]]]:
    return lambda port, associations, paths: [
        [sys.executable, "-m", name, str(port), str(associations), *options, *paths]
    ]


def _two_workers(port: int, associations: int, paths: Sequence[str]) -> list[list[str]]:
    command = [sys.executable, "-m", "tests.bench.scu", str(port), "1"]
    return [[*command, *paths[index::associations]] for index in range(associations)]


PENSTOCK = Sender("Penstock", _module("tests.bench.scu"))
PENSTOCK_A_WORKER_EACH = Sender("Penstock, a worker each", _two_workers)
OTHERS = (
    Sender("storescu, TCP_NODELAY=1", _storescu),
    Sender("storescu as it comes", _storescu, no_delay=False, at_most=150),
    Sender("pynetdicom, TCP_NODELAY", _module("tests.bench.pynetdicom_scu", "1"), at_most=300),
    Sender("pynetdicom as it comes", _module("tests.bench.pynetdicom_scu", "0"), at_most=150),
)
SENDERS = (PENSTOCK, PENSTOCK_A_WORKER_EACH, *OTHERS)
SINKS = (SINK, STORESCP_IGNORING)


class Cell(NamedTuple):
    kind: Kind
    associations: int
    sink: Target
    sender: Sender


Measured = dict[Cell, list[Cost]]  # of an instance


def measure(folder: Path, rounds: int = _ROUNDS) -> str:
    folder.mkdir()
    paths = {kind: _paths(kind, folder) for kind in _FILES}
    measured: Measured = defaultdict(list)
    folders = (folder / str(number) for number in count(1))
    for turn in range(rounds):
        for cell in map(Cell._make, product(_FILES, _ASSOCIATIONS, SINKS, SENDERS)):
            if cell.associations == 1 and cell.sender is PENSTOCK_A_WORKER_EACH:
                continue
            with cell.sink.running(next(folders)) as port:
                try:
                    cost = _cost(cell, port, paths[cell.kind])
                except NotSentError:
                    continue
            measured[cell].append(cost)
            rate = f"{1 / cost.seconds:6.0f}/s"
            print(turn, cell.kind.name, cell.associations, rate, cell.sender.name, cell.sink.name)
    return (
        f"Medians of {rounds} interleaved runs; in bold how many times the other's rate ours is,"
        " and below how many times our processor time the other's is. Wanted: at least storescu's"
        " rate with TCP_NODELAY=1, and four times pynetdicom's. The sink answers and throws away"
        " in the kernel what it gets; storescp reads it and keeps nothing. Two associations are"
        " two threads of one process, as in a worker, or a worker each; for storescu they are two"
        " processes. What did not end is pynetdicom waiting for an answer that had come before it"
        " looked.\n\n"
        + "\n".join(_tables(measured, sink) for sink in SINKS)
        + _memory(folder, next(folders))
    )


def _paths(kind: Kind, folder: Path) -> list[str]:
    files = list(map(str, write_files(kind, folder / kind.name, _FILES[kind])))
    return files * (_INSTANCES[kind] // len(files))


def _cost(cell: Cell, port: int, paths: Sequence[str]) -> Cost:
    """Of an instance."""
    sent = paths[: cell.sender.at_most]
    start = cell.sender.cost(port, cell.associations, paths[: cell.associations])
    whole = cell.sender.cost(port, cell.associations, sent)
    instances = len(sent) - cell.associations
    return Cost(
        (whole.seconds - start.seconds) / instances,
        (whole.processor - start.processor) / instances,
    )


def _tables(measured: Measured, sink: Target) -> str:
    rates, processor = [], []
    for kind, associations in product(_FILES, _ASSOCIATIONS):
        gigabyte = 1e9 / (2 * kind.side**2)  # instances
        cells = {sender: Cell(kind, associations, sink, sender) for sender in SENDERS}
        others = [_median(measured[cells[sender]]) for sender in OTHERS]
        for sender, addition in ((PENSTOCK, ""), (PENSTOCK_A_WORKER_EACH, ", a worker each")):
            ours = _median(measured[cells[sender]])
            if ours is None:
                continue
            name = f"{kind.name}, {associations} at once{addition}"
            rate, used = [f"{1 / ours.seconds:.0f}/s"], [f"{ours.processor * gigabyte:.2f} s"]
            for each in others:
                if each is None:
                    rate.append("did not end")
                    used.append("did not end")
                    continue
                ratios = each.seconds / ours.seconds, each.processor / ours.processor
                rate.append(f"{1 / each.seconds:.0f}/s: **{ratios[0]:.1f}**")
                used.append(f"{each.processor * gigabyte:.2f} s: **{ratios[1]:.1f}**")
            rates.append([name, *rate])
            processor.append([name, *used])
    names = [sender.name for sender in (PENSTOCK, *OTHERS)]
    return (
        f"### To {sink.name}\n\nInstances a second:\n\n{table(names, rates)}\n"
        f"Processor time of the sender for a GB:\n\n{table(names, processor)}"
    )


def _median(costs: Sequence[Cost]) -> Cost | None:
    if not costs:
        return None
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def _memory(folder: Path, place: Path) -> str:
    """What an instance of 2 GB adds to the resident memory of its sender, at its peak."""
    (small,) = write_files(MR, folder / "small", 1)
    large = folder / "large.dcm"
    with large.open("wb") as file:
        file.truncate(_LARGE)
    meta = FileMeta(CT.sop_class_uid, "2.25.1", TRANSFER_SYNTAX, 0)
    pid = os.getpid()
    with SINK.running(place) as port:
        peer = Peer("BENCH", "127.0.0.1", port)
        with associate(peer, CALLER, contexts_for([meta])) as association:
            association.store(small, meta)
            before = resident_memory(pid)
            forget_peak_memory(pid)
            association.store(large, meta)
            growth = peak_memory(pid) - before
    rows = [["growth", f"{growth / MB:.1f} MB", "under 4 MB"]]
    return (
        "\n### An instance of 2 GB\n\nBy how much the sender's resident memory exceeds at its peak"
        " what it was after an instance of 32 KB in the same association.\n\n"
        + table(["measured", "wanted"], rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        text = measure(Path(folder) / "send", given.rounds)
    print(text)
    if given.write:
        write(Section.SENDING, text)


if __name__ == "__main__":
    main()
