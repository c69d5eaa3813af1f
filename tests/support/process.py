"""What a process holds, as /proc shows it."""

import os
from pathlib import Path
from typing import NamedTuple


class Footprint(NamedTuple):
    threads: int
    descriptors: int
    sockets: int

    def fits_in(self, other: "Footprint") -> bool:
        return all(mine <= theirs for mine, theirs in zip(self, other, strict=True))


def footprint(pid: int) -> Footprint:
    opened = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            opened.append(str(descriptor.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    return Footprint(
        threads=len(list(Path(f"/proc/{pid}/task").iterdir())),
        descriptors=len(opened),
        sockets=sum(name.startswith("socket:") for name in opened),
    )


def resident_memory(pid: int) -> int:
    """In bytes."""
    return int(_status(pid, "VmRSS")) * 1024


def peak_memory(pid: int) -> int:
    """The most that was ever resident, in bytes; `forget_peak_memory` begins anew."""
    return int(_status(pid, "VmHWM")) * 1024


def forget_peak_memory(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def processor_time(pid: int) -> float:
    """What it has used so far, in seconds."""
    _, _, after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    user, system = after_name.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def pending_signals(pid: int) -> set[int]:
    return _signals(_status(pid, "ShdPnd"))


def held_signals(pid: int) -> set[int]:
    """Those that its first thread does not let through for now."""
    return _signals(_status(pid, "SigBlk"))


def _signals(mask: str) -> set[int]:
    return {number for number in range(1, 65) if int(mask, 16) >> (number - 1) & 1}


def _status(pid: int, name: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.split()[0]
    raise AssertionError(f"process {pid} has ended")
