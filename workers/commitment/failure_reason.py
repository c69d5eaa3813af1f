"""What can be done about an instance that a destination does not commit to (PS3.3 C.14.1.1)."""

from enum import Enum
from typing import NamedTuple


class Cure(Enum):
    SEND = "send it again, then ask for it again"
    ASK = "ask for it again, in a new transaction"
    NONE = "neither would help"


class _Reason(NamedTuple):
    cure: Cure
    meaning: str


_REASONS = {
    0x0110: _Reason(Cure.ASK, "processing failure"),
    0x0112: _Reason(Cure.SEND, "no such object instance"),
    0x0119: _Reason(Cure.NONE, "class-instance conflict"),
    0x0122: _Reason(Cure.NONE, "referenced SOP class not supported"),
    0x0131: _Reason(Cure.ASK, "duplicate transaction UID"),
    0x0213: _Reason(Cure.SEND, "resource limitation"),  # it could not store the instance
}


def cure(reason: int | None) -> Cure:
    """Of a Failure Reason that the standard does not have, or of none: as if it were not there."""
    return _REASONS[reason].cure if reason in _REASONS else Cure.SEND


def in_words(reason: int | None) -> str:
    """A Failure Reason with its meaning: `0112 (no such object instance)`."""
    if reason is None:
        return "no reason"
    known = _REASONS.get(reason)
    return f"{reason:04X} ({known.meaning})" if known else f"{reason:04X}"
