"""Destinations that a person paused: `paused/<name>.json`, from which Redis is told over and over.

The file stays when the destination is resumed, and says so: of two words the newer one counts.
"""

import contextlib
import time
from pathlib import Path

from pydantic import ValidationError

from shared.delivery import Record
from shared.job_steps import EXPORT_LANE
from shared.locked_file import LockedFile
from shared.registry.gate import Gate
from shared.tree import StorageTree

_LOCK = ".lock"


class Pause(Record):
    """What was said last of a destination."""

    paused: bool
    as_of: float  # POSIX time
    who: str


class Pauses:
    """Raises OSError where the storage is away, and `redis.RedisError` where Redis is."""

    def __init__(self, tree: StorageTree, gate: Gate) -> None:
        self._folder = tree.paused
        self._gate = gate

    def set(self, name: str, paused: bool, who: str) -> None:
        """On disk first; without Redis it stands, and is carried out once Redis is back."""
        self._folder.mkdir(mode=0o750, exist_ok=True)
        path = self._folder / f"{name}.json"
        with LockedFile.lock(self._folder / _LOCK):
            last = _read(path)
            # Whole milliseconds, as Redis has it, and later than the last word by any clock.
            as_of = max(round(time.time(), 3), last.as_of + 0.001 if last else 0.0)
            pause = Pause(paused=paused, as_of=as_of, who=who)
            pause.write(path)
        self._tell(name, pause)
        if not paused:
            self._gate.probe_now(EXPORT_LANE + name)

    def tell(self) -> None:
        """To be repeated: Redis may have been emptied."""
        with contextlib.suppress(FileNotFoundError):  # nobody ever paused anything
            for path in self._folder.glob("*.json"):
                if pause := _read(path):
                    self._tell(path.stem, pause)

    def _tell(self, name: str, pause: Pause) -> None:
        self._gate.set_paused(EXPORT_LANE + name, pause.paused, pause.as_of)


def _read(path: Path) -> Pause | None:
    try:
        return Pause.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
