"""One run: load, troubles, an end to them, and the account of it."""

import threading
import time
from pathlib import Path

from tests.soak.account import Account
from tests.soak.load import Modality, Sent
from tests.soak.schedule import Trouble, schedule
from tests.soak.troubles import TROUBLES
from tests.soak.world import World

_MODALITIES = 2
_AFTERWARDS = 120.0  # seconds, for all to be delivered once the troubles are over


def soak(folder: Path, seed: int, seconds: float) -> list[str]:
    """Everything that went wrong; prints the schedule before, and what happened after."""
    troubles = schedule(seed, seconds)
    print(f"seed {seed}, {seconds:.0f} s", *troubles, sep="\n", flush=True)
    with World(folder) as world:
        begun = time.monotonic()
        modalities = [Modality(number, seed, world.gateway.port) for number in range(_MODALITIES)]
        alone = {trouble.target: threading.Lock() for trouble in troubles}
        befallen = [_Befallen(world, each, begun, alone[each.target]) for each in troubles]
        for thread in (*modalities, *befallen):
            thread.start()
        time.sleep(seconds)
        for each in befallen:
            each.join()
        for modality in modalities:
            modality.finish()
        sent = [sent for modality in modalities for sent in modality.sent]
        _wait_until_settled(world, sent)
        account = Account(world, sent)
        found = [*(each.failure for each in befallen if each.failure), *account.faults()]
    print(account.summary(), *found, sep="\n", flush=True)
    return found


class _Befallen(threading.Thread):
    """A trouble at its time, or once its target is through with the one before."""

    def __init__(self, world: World, trouble: Trouble, begun: float, alone: threading.Lock) -> None:
        super().__init__(daemon=True)
        self.failure = ""
        self._world = world
        self._trouble = trouble
        self._begun = begun
        self._alone = alone

    def run(self) -> None:
        trouble = self._trouble
        time.sleep(max(0.0, self._begun + trouble.at - time.monotonic()))
        try:
            with self._alone, TROUBLES[trouble.kind].begin(self._world, trouble.target):
                time.sleep(trouble.lasts)
        except Exception as error:  # noqa: BLE001 - told when the run ends
            self.failure = f"{trouble}: {error!r}"


def _wait_until_settled(world: World, sent: list[Sent]) -> None:
    """Or for as long as that may take: what is not well then, the account says."""
    deadline = time.monotonic() + _AFTERWARDS
    while time.monotonic() < deadline and not Account(world, sent).is_settled():
        time.sleep(0.5)
