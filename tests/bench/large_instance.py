"""What an instance of 2 GB costs in memory while it arrives."""

import time
from pathlib import Path

from tests.bench.page import table
from tests.bench.targets import gateway
from tests.support.frames import MB, send_frames
from tests.support.gateway import HOST
from tests.support.process import forget_peak_memory, peak_memory, resident_memory
from tests.support.samples import data_set
from tests.support.scu import Scu

_SIZE = 2048 * MB
_SETTLE = 2.0  # seconds, for what a receiver loads once it listens


def measure(folder: Path) -> str:
    with (
        gateway(folder, parts=["receiver"]) as us,
        Scu((HOST, us.port), timeout=60) as scu,
    ):
        time.sleep(_SETTLE)
        pid = us.process("receiver").pid
        scu.associate(called="BENCH")
        scu.store("1.2.3", data_set(32_000))
        before = resident_memory(pid)
        forget_peak_memory(pid)
        send_frames(scu, "1.2.4", _SIZE)
        growth = peak_memory(pid) - before
        scu.release()
    return (
        "By how much the receiver's resident memory exceeds at its peak, while an instance of 2 GB"
        " arrives, what it was after one of 32 KB in the same association.\n\n"
        + table(["measured", "wanted"], [["growth", f"{growth / MB:.1f} MB", "under 4 MB"]])
    )
