"""One try of a step, as the history of its job tells of it."""

import time
from dataclasses import dataclass, field

from shared.registry.jobs import Entry


@dataclass(frozen=True, slots=True)
class Try:
    """Made when the try begins."""

    who: str
    attempt: int
    begun: float = field(default_factory=time.monotonic)

    def begins(self, what: str) -> Entry:
        return Entry(what, self.who, self.attempt)

    def ends(self, what: str, error: str = "") -> Entry:
        """With how long it took."""
        return Entry(what, self.who, self.attempt, error, time.monotonic() - self.begun)
