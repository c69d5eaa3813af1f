"""What a sender does about a C-STORE response (PS3.4 table B.2-1, PS3.7 annex C)."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from shared.settings.statuses import StatusMeaning


class Verdict(Enum):
    DELIVERED = "delivered"
    WARNING = "delivered with a warning"
    LATER = "try again later"
    UNKNOWN = "not known: send again on a new association"
    LOST = "the association was lost while it was sent"
    # For good, each of these:
    FAILED = "refused"
    REFUSED = "refused for a setting here or there, as any other would be"
    NOT_ACCEPTED = "no presentation context was accepted for it"
    CHANGED = "its file is missing, or is not what was stored"
    BREAKS = "the association was lost each time that it was sent"


DELIVERED = frozenset({Verdict.DELIVERED, Verdict.WARNING})
FAILED = frozenset(
    {
        Verdict.FAILED,
        Verdict.REFUSED,
        Verdict.NOT_ACCEPTED,
        Verdict.CHANGED,
        Verdict.BREAKS,
    }
)


class _Statuses(NamedTuple):
    first: int
    last: int
    verdict: Verdict
    meaning: str = ""


# The first row that holds a status decides.
_STATUSES = (
    _Statuses(0x0000, 0x0000, Verdict.DELIVERED, "success"),
    # PS3.4 table B.2-1
    _Statuses(0xA700, 0xA7FF, Verdict.LATER, "out of resources"),
    _Statuses(0xA900, 0xA9FF, Verdict.FAILED, "data set does not match SOP class"),
    _Statuses(0xB000, 0xB000, Verdict.WARNING, "coercion of data elements"),
    _Statuses(0xB006, 0xB006, Verdict.WARNING, "elements discarded"),
    _Statuses(0xB007, 0xB007, Verdict.WARNING, "data set does not match SOP class"),
    _Statuses(0xB000, 0xBFFF, Verdict.WARNING),
    _Statuses(0xC000, 0xCFFF, Verdict.FAILED, "cannot understand"),
    # PS3.7 annex C
    _Statuses(0x0001, 0x0001, Verdict.WARNING),
    _Statuses(0x0105, 0x0105, Verdict.FAILED, "no such attribute"),
    _Statuses(0x0106, 0x0106, Verdict.FAILED, "invalid attribute value"),
    _Statuses(0x0107, 0x0107, Verdict.WARNING, "attribute list error"),
    _Statuses(0x0110, 0x0110, Verdict.LATER, "processing failure"),
    _Statuses(0x0111, 0x0111, Verdict.FAILED, "duplicate SOP instance"),
    _Statuses(0x0112, 0x0112, Verdict.FAILED, "no such SOP instance"),
    _Statuses(0x0115, 0x0115, Verdict.FAILED, "invalid argument value"),
    _Statuses(0x0116, 0x0116, Verdict.WARNING, "attribute value out of range"),
    _Statuses(0x0117, 0x0117, Verdict.FAILED, "invalid SOP instance"),
    _Statuses(0x0118, 0x0118, Verdict.REFUSED, "no such SOP class"),
    _Statuses(0x0119, 0x0119, Verdict.FAILED, "class-instance conflict"),
    _Statuses(0x0120, 0x0120, Verdict.FAILED, "missing attribute"),
    _Statuses(0x0121, 0x0121, Verdict.FAILED, "missing attribute value"),
    _Statuses(0x0122, 0x0122, Verdict.REFUSED, "SOP class not supported"),
    _Statuses(0x0124, 0x0124, Verdict.REFUSED, "not authorized"),
    _Statuses(0x0210, 0x0210, Verdict.REFUSED, "duplicate invocation"),
    _Statuses(0x0211, 0x0211, Verdict.REFUSED, "unrecognized operation"),
    _Statuses(0x0212, 0x0212, Verdict.REFUSED, "mistyped argument"),
    _Statuses(0x0213, 0x0213, Verdict.LATER, "resource limitation"),
    _Statuses(0x0000, 0xFFFF, Verdict.FAILED),
)
_TRIES = {0x0110: 3}  # more likely the instance's own fault than a passing one
_DUPLICATE = 0x0111

_AS_SET = {
    StatusMeaning.DELIVERED: Verdict.DELIVERED,
    StatusMeaning.WARNING: Verdict.WARNING,
    StatusMeaning.RETRY: Verdict.LATER,
    StatusMeaning.FAILED: Verdict.FAILED,
}


def judge(
    status: int | None,
    earlier: int = 0,
    *,
    sent_before: bool = False,
    overrides: Mapping[str, StatusMeaning] | None = None,
) -> Verdict:
    """The verdict on a status; None: the response had none.

    Args:
        earlier: how often the instance met this status before.
        sent_before: whether the destination may have it from an earlier association.
        overrides: of the destination, by status or range of them (`A900`, `C0xx`).
    """
    if status is None:
        return Verdict.UNKNOWN
    if status and (meaning := _overridden(f"{status:04X}", overrides or {})):
        return _AS_SET[meaning]
    if status == _DUPLICATE and sent_before:
        return Verdict.WARNING  # it is ours
    if status in _TRIES and earlier + 1 >= _TRIES[status]:
        return Verdict.FAILED
    return _row(status).verdict


def in_words(status: int) -> str:
    """A status with its meaning, where the standard gives one: `A700 (out of resources)`."""
    meaning = _row(status).meaning
    return f"{status:04X} ({meaning})" if meaning else f"{status:04X}"


def _row(status: int) -> _Statuses:
    return next(row for row in _STATUSES if row.first <= status <= row.last)


def _overridden(status: str, overrides: Mapping[str, StatusMeaning]) -> StatusMeaning | None:
    """The closest: `C012` goes before `C01x`, and that before `Cxxx`."""
    closest = (f"{status[:digits]:x<4}" for digits in range(4, -1, -1))
    return next((overrides[each] for each in closest if each in overrides), None)
