"""Modalities that send one delivery after another, whatever becomes of them."""

import random
import threading
from enum import StrEnum
from typing import NamedTuple

from shared.upper_layer.events import ReleaseConfirmed
from tests.faults.invariants import content
from tests.soak.world import ROUTES
from tests.support.gateway import HOST
from tests.support.scu import Scu

_INSTANCES = (1, 6)
_PAUSES = (0.05, 0.4)  # seconds


class End(StrEnum):
    """What a modality knows of a delivery."""

    RELEASED = "released"
    UNKNOWN = "unknown"  # it asked for the release, and was not answered
    BROKEN = "broken off"


class Sent(NamedTuple):
    called: str
    uids: tuple[str, ...]
    end: End


class Modality(threading.Thread):
    """`number` is in the UIDs that it sends, none of them twice."""

    def __init__(self, number: int, seed: int, port: int) -> None:
        super().__init__(daemon=True)
        self.sent: list[Sent] = []
        self._number = number
        self._chance = random.Random(f"{seed} {number}")
        self._port = port
        self._over = threading.Event()

    def finish(self) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.wait(self._chance.uniform(*_PAUSES)):
            called = self._chance.choice(sorted(ROUTES))
            root = f"1.2.{self._number}.{len(self.sent)}"
            uids = [f"{root}.{n}" for n in range(self._chance.randint(*_INSTANCES))]
            if end := self._deliver(called, uids):
                self.sent.append(Sent(called, tuple(uids), end))

    def _deliver(self, called: str, uids: list[str]) -> End | None:
        """None where nobody listens."""
        end: End | None = None
        try:
            with Scu((HOST, self._port)) as scu:
                end = End.BROKEN
                scu.associate(called=called, calling=f"CT{self._number}")
                for uid in uids:
                    assert scu.store(uid, content(uid)).status == 0x0000
                end = End.UNKNOWN
                scu.ask_release()
                scu.expect(ReleaseConfirmed)
                return End.RELEASED
        except (EOFError, OSError):  # the receiver was killed
            return end
