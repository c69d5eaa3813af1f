"""What a thousand open associations cost that say nothing, and what they cost the others."""

import contextlib
import os
import statistics
import time
from pathlib import Path

from tests.bench.instances import CT, MR, Kind
from tests.bench.page import table
from tests.bench.sender import send
from tests.bench.targets import gateway
from tests.support.descriptors import many_descriptors
from tests.support.gateway import HOST, Gateway
from tests.support.process import processor_time, resident_memory
from tests.support.samples import data_set
from tests.support.scu import Scu

_CROWD = 1000
_IDLE = 10.0  # seconds
_SETTLE = 2.0
_PAIRS = 15
_INSTANCES = {CT: 150, MR: 800}


def measure(folder: Path) -> str:
    folder.mkdir()
    with (
        many_descriptors(),
        _receiver(folder / "crowded") as crowded,
        _receiver(folder / "alone") as alone,
        contextlib.ExitStack() as open_,
    ):
        pid = crowded.process("receiver").pid
        scus = [open_.enter_context(Scu((HOST, crowded.port), timeout=60)) for _ in range(_CROWD)]
        for scu in scus:
            scu.associate(called="BENCH")
        negotiated = _memory(pid)
        for number, scu in enumerate(scus):
            assert scu.store(f"1.2.{number}", data_set(32_000)).status == 0
        stored = _memory(pid)
        idle = _idle_load(pid)
        scus[0].release()  # whose place the sender takes
        slowed = {kind: _slowed(kind, crowded, alone) for kind in _INSTANCES}
    rows = [
        ["resident memory, all have negotiated", f"{negotiated:.0f} MB", "under 250 MB"],
        ["resident memory, each has stored 32 KB", f"{stored:.0f} MB", "under 250 MB"],
        [f"one core's load over {_IDLE:.0f} s", f"{idle:.1%}", "under 1 %"],
        *([f"{kind.name}: rate beside them against alone", f"{ratio:.2f}", "0.90 and more"]
          for kind, ratio in slowed.items()),
    ]  # fmt: skip
    return (
        f"What {_CROWD} associations cost the receiver, all of them accepted and then idle. The"
        f" rate of one sender beside {_CROWD - 1} of them is compared with that of the same sender"
        f" to a receiver of its own, right after: medians of {_PAIRS} pairs of runs.\n\n"
        + table(["measured", "wanted"], rows)
    )


def _receiver(folder: Path) -> Gateway:
    return gateway(folder, parts=["receiver"], receiver={"max_associations": _CROWD})


def _memory(pid: int) -> float:
    time.sleep(_SETTLE)
    return resident_memory(pid) / 1e6


def _idle_load(pid: int) -> float:
    before = processor_time(pid)
    time.sleep(_IDLE)
    return (processor_time(pid) - before) / _IDLE


def _slowed(kind: Kind, crowded: Gateway, alone: Gateway) -> float:
    return statistics.median(_rate(kind, crowded) / _rate(kind, alone) for _ in range(_PAIRS))


def _rate(kind: Kind, receiver: Gateway) -> float:
    os.sync()  # what the run before left to write is not this one's to wait for
    count = _INSTANCES[kind]
    return count / send(receiver.port, kind, count, 1, bare=False)
