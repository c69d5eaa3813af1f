"""What a destination's C-STORE statuses mean, where that is not what the standard says."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

_STATUSES = re.compile(r"(?=.{4}$)[0-9A-F]*x*")


class StatusMeaning(StrEnum):
    DELIVERED = "delivered"
    WARNING = "warning"  # delivered, and told
    RETRY = "retry"
    FAILED = "failed"  # that instance, for good


def _check_statuses(value: str) -> str:
    """`"a900"` as `"A900"`, and `"C0XX"` as `"C0xx"`."""
    normal = value.strip().upper().replace("X", "x")
    if not _STATUSES.fullmatch(normal):
        raise ValueError(
            'a status is four hexadecimal digits; for a range, the last of them are x: "A900",'
            ' "C0xx", "Cxxx"'
        )
    if normal == "0000":
        raise ValueError("0000 is success at any destination")
    return normal


Statuses = Annotated[str, AfterValidator(_check_statuses)]
