"""The Transaction UID of a report, which is all that must be known of one to take it in."""

import struct
from typing import Final

from shared.part10 import LONG_VRS

_TRANSACTION_UID: Final = (0x0008, 0x1195)
_BYTE_ORDERS = {
    "1.2.840.10008.1.2": "<",
    "1.2.840.10008.1.2.1": "<",
    "1.2.840.10008.1.2.2": ">",
}
_IMPLICIT = "1.2.840.10008.1.2"


def find_transaction_uid(data_set: bytes, transfer_syntax: str) -> str:
    """Empty where there is none, or where the data set cannot be read up to it.

    The few elements before it are short ones, of group 0008; sequences come after it.
    """
    order = _BYTE_ORDERS.get(transfer_syntax)
    if order is None:
        return ""
    position = 0
    try:
        while position < len(data_set):
            tag, length, start = _header(data_set, position, order, transfer_syntax == _IMPLICIT)
            if tag >= _TRANSACTION_UID:
                value = data_set[start : start + length] if tag == _TRANSACTION_UID else b""
                return value.decode("latin-1").rstrip("\0 ")
            position = start + length
    except struct.error:  # it ends within an element's header
        return ""
    return ""


def _header(
    data_set: bytes, position: int, order: str, implicit: bool
) -> tuple[tuple[int, int], int, int]:
    """Tag, length and start of the value (PS3.5 7.1)."""
    group, element = struct.unpack_from(f"{order}HH", data_set, position)
    if implicit:
        (length,) = struct.unpack_from(f"{order}I", data_set, position + 4)
        return (group, element), length, position + 8
    vr, length = struct.unpack_from(f"{order}2sH", data_set, position + 4)
    if vr not in LONG_VRS:
        return (group, element), length, position + 8
    (length,) = struct.unpack_from(f"{order}I", data_set, position + 8)
    return (group, element), length, position + 12
