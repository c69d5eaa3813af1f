"""What a sender does about a C-STORE response (PS3.4 table B.2-1, PS3.7 annex C)."""

from enum import Enum


class Verdict(Enum):
    DELIVERED = "delivered"
    WARNING = "delivered with a warning"
    LATER = "try again later"
    FAILED = "failed for good"
    UNKNOWN = "not known: send again on a new association"


# First and last status of a range; the first row that holds a status decides.
_RULES: tuple[tuple[int, int, Verdict], ...] = (
    (0x0000, 0x0000, Verdict.DELIVERED),
    (0x0001, 0x0001, Verdict.WARNING),
    (0x0107, 0x0107, Verdict.WARNING),  # attribute list error
    (0x0116, 0x0116, Verdict.WARNING),  # attribute value out of range
    (0xB000, 0xBFFF, Verdict.WARNING),
    (0xA700, 0xA7FF, Verdict.LATER),  # refused: out of resources
    (0x0110, 0x0110, Verdict.LATER),  # processing failure
    (0x0213, 0x0213, Verdict.LATER),  # resource limitation
    (0x0000, 0xFFFF, Verdict.FAILED),
)
_TRIES = {0x0110: 3}  # more likely the instance's own fault than a passing one


def judge(status: int | None, earlier: int = 0) -> Verdict:
    """The verdict on a status that the instance met `earlier` times before; None: it had none."""
    if status is None:
        return Verdict.UNKNOWN
    if status in _TRIES and earlier + 1 >= _TRIES[status]:
        return Verdict.FAILED
    return next(verdict for first, last, verdict in _RULES if first <= status <= last)
