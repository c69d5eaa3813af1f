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


AMPLE = Room(over_watermark=False, under_reserve=False)
NONE = Room(over_watermark=True, under_reserve=True)


def room(usage: Usage, storage: Storage, before: Room = AMPLE) -> Room:
    """The room there is now.

    What was refused `before` is taken again only at the release mark, some way from where refusing
    began: else a disk that hovers at its mark would admit and refuse by turns.
    """
    watermark = storage.watermark_release if before.over_watermark else storage.watermark_percent
    reserve = storage.reserve_release if before.under_reserve else storage.reserve_gb
    return Room(
        over_watermark=usage.used_percent >= watermark,
        under_reserve=usage.free < reserve * _GIGABYTE,
    )


class Capacity:
    """The room there is, as of half a second ago at most."""

    def __init__(self, usage: Callable[[], Usage], storage: Storage) -> None:
        self._usage = usage
        self._storage = storage
        self._measured = AMPLE
        # Replaced whole, so that no thread waits for another's look at a slow file system.
        self._last = (float("-inf"), AMPLE)

    def follow(self, storage: Storage) -> None:
        """The limits are others from now on."""
        self._storage = storage

    def room(self) -> Room:
        looked, known = self._last
        now = time.monotonic()
        if now - looked < _VALID_FOR:
            return known
        found = self._look()
        self._last = (now, found)
        if found != known:
            _tell(found)
        return found

    def _look(self) -> Room:
        try:
            self._measured = room(self._usage(), self._storage, self._measured)
        except OSError as error:
            log.error("the storage cannot be read", error=error.strerror)
            return NONE  # not measured: once it can be read again, all is as it was before
        return self._measured


def _tell(found: Room) -> None:
    if found.full:
        log.warning(
            "storage is refused",
            over_watermark=found.over_watermark,
            under_reserve=found.under_reserve,
        )
    else:
        log.info("storage is accepted again")
