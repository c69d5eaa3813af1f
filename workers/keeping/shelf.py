"""A folder of the storage tree whose entries are removed when they are past their time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from pydantic import ValidationError

from shared.tree import ids_in

log = structlog.get_logger()

_LOOK_AGAIN = timedelta(hours=1)  # a person, or new settings, may have changed something


class Shelf:
    """Reads as little as possible, however many entries there are.

    An id begins with the time at which its association began, so a younger one than the shortest
    retention is not past it. Of the others, each is read once an hour, or when its time has come.
    """

    def __init__(
        self,
        folder: Path,
        removal_time: Callable[[str], datetime | None],
        remove: Callable[[str], object],
    ) -> None:
        """`removal_time` says None for what is not removed by itself."""
        self._folder = folder
        self._removal_time = removal_time
        self._remove = remove
        self._look_at: dict[str, datetime] = {}

    def look_anew(self) -> None:
        """Forgets what was read: the settings have changed."""
        self._look_at.clear()

    def clear(self, shortest: float, deadline: float) -> bool:
        """Removes what is past its time; False if `deadline` (monotonic) came first.

        Args:
            shortest: seconds for which every entry is kept.
        """
        now = datetime.now(UTC)
        youngest = f"{now - timedelta(seconds=shortest):%Y%m%dT%H%M%S}"
        names = [name for name in ids_in(self._folder) if name[: len(youngest)] <= youngest]
        self._look_at = {name: self._look_at[name] for name in names if name in self._look_at}
        failures: list[tuple[str, str]] = []
        for name in names:
            if self._look_at.get(name, now) > now:
                continue
            if time.monotonic() > deadline:
                return False
            try:
                self._look(name, now, again=min(_LOOK_AGAIN, timedelta(seconds=shortest)))
            except FileNotFoundError:  # it has just gone, or is being made
                continue
            except (OSError, ValidationError) as error:
                self._look_at[name] = now + _LOOK_AGAIN
                failures.append((name, type(error).__name__))
        if failures:
            log.error("cannot be removed", of=self._folder.name, failures=failures[:10])
        return True

    def _look(self, name: str, now: datetime, again: timedelta) -> None:
        at = self._removal_time(name)
        if at is None:  # if it is not at its end yet, it is kept for the shortest time after that
            self._look_at[name] = now + again
        elif at > now:
            self._look_at[name] = min(at, now + _LOOK_AGAIN)
        else:
            self._remove(name)  # what something is at work on is met again the next time
