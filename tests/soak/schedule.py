"""When which trouble begins, and how long it lasts: the same for the same seed."""

import random
from dataclasses import dataclass

from tests.soak.troubles import TROUBLES

_FIRST = 1.0  # seconds of peace before
_GAPS = (0.3, 2.0)  # seconds from one beginning to the next


@dataclass(frozen=True)
class Trouble:
    at: float  # seconds from the start of the load
    kind: str
    target: str
    lasts: float  # seconds

    def __str__(self) -> str:
        fault, _, what = self.kind.partition(" ")
        return f"{self.at:7.1f} s  {fault:3}  {self.target} {what}, {self.lasts:.1f} s"


def schedule(seed: int, seconds: float) -> list[Trouble]:
    """Troubles that all begin within so many seconds; never two at once for one target."""
    chance = random.Random(seed)
    busy: dict[str, float] = {}
    found = []
    at = _FIRST
    while at < seconds:
        kind = chance.choice(sorted(TROUBLES))
        target = chance.choice(TROUBLES[kind].targets)
        lasts = chance.uniform(*TROUBLES[kind].lasts)
        if busy.get(target, 0) < at:
            found.append(Trouble(at, kind, target, lasts))
            busy[target] = at + lasts + _GAPS[1]
            at += chance.uniform(*_GAPS)
    return found
