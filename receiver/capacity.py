"""Is there room for more? The watermark and the reserve, against the file system as it is now."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from shared.settings.sections import Storage
from shared.tree import Usage

_VALID_FOR = 0.5  # seconds: a check for each C-STORE must cost nothing
_GIGABYTE = 10**9

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Room:
    over_watermark: bool
    under_reserve: bool

    @property
    def full(self) -> bool:
        return self.over_watermark or self.under_reserve


def room(usage: Usage, storage: Storage) -> Room:
    return Room(
        over_watermark=usage.used_percent >= storage.watermark_percent,
        under_reserve=usage.free < storage.reserve_gb * _GIGABYTE,
    )


class Capacity:
    """The room there is, as of half a second ago at most."""

    def __init__(self, usage: Callable[[], Usage], storage: Storage) -> None:
        self._usage = usage
        self._storage = storage
        # Replaced whole, so that no thread waits for another's look at a slow file system.
        self._last = (float("-inf"), Room(over_watermark=False, under_reserve=False))

    def room(self) -> Room:
        looked, known = self._last
        now = time.monotonic()
        if now - looked < _VALID_FOR:
            return known
        try:
            found = room(self._usage(), self._storage)
        except OSError as error:
            log.error("the storage cannot be read", error=error.strerror)
            found = Room(over_watermark=True, under_reserve=True)
        self._last = (now, found)
        return found
