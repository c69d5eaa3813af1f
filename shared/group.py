"""A group: the deliveries of one study or one series that are to make one job."""

import hashlib
from datetime import datetime, timedelta

from shared.delivery import Record


def group_key(*parts: str) -> str:
    """One name for all that a group's deliveries have in common; no UID can be read from it."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


class Group(Record):
    """How long a job waits for more of its group, as the settings were when it was opened."""

    key: str
    quiet_period: float  # seconds
    max_wait: float  # seconds
    opened: datetime
    grown: datetime  # when the last of its deliveries was added
    closed: datetime | None = None

    @property
    def latest(self) -> datetime:
        """When it is closed whatever is still to come."""
        return self.opened + timedelta(seconds=self.max_wait)

    @property
    def due(self) -> datetime:
        """When it is closed unless more comes."""
        return min(self.grown + timedelta(seconds=self.quiet_period), self.latest)

    def may_close(self, now: datetime, *, arriving: bool) -> bool:
        """Whether its time has come, with or without something on its way that may belong to it."""
        return now >= (self.latest if arriving else self.due)
