"""The command set: elements of group 0000 in Implicit VR Little Endian (PS3.7 6.3.1, annex E)."""

from collections.abc import Mapping
from enum import IntEnum
from struct import Struct
from typing import Final, Self

from shared.upper_layer.errors import LocalProtocolError, ProtocolError
from shared.upper_layer.items import decode_text, encode_text

NO_DATA_SET: Final = 0x0101  # PS3.7 annex E.1: any other value says that a data set follows
_DATA_SET_FOLLOWS = 0x0001

_ELEMENT_HEADER = Struct("<HHL")
_NUMBER = Struct("<HHLH")
_GROUP_LENGTH = Struct("<HHLL")
_MAX_UINT16 = 0xFFFF
_MAX_ERROR_COMMENT = 64  # value representation LO


class CommandField(IntEnum):
    """PS3.7 annex E.1, as far as these messages are known here."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    N_EVENT_REPORT_RQ = 0x0100
    N_EVENT_REPORT_RSP = 0x8100
    N_ACTION_RQ = 0x0130
    N_ACTION_RSP = 0x8130
    C_CANCEL_RQ = 0x0FFF


class Element(IntEnum):
    """Element numbers within group 0000 (PS3.7 table E.1-1)."""

    GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS_UID = 0x0002
    REQUESTED_SOP_CLASS_UID = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
    PRIORITY = 0x0700
    COMMAND_DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    ERROR_COMMENT = 0x0902
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    REQUESTED_SOP_INSTANCE_UID = 0x1001
    EVENT_TYPE_ID = 0x1002
    ACTION_TYPE_ID = 0x1008
    MOVE_ORIGINATOR_AE_TITLE = 0x1030
    MOVE_ORIGINATOR_MESSAGE_ID = 0x1031


# The value representations AE and LO are padded with a space, UI with a NUL (PS3.5 6.2).
_PADDED_WITH_SPACE = {Element.ERROR_COMMENT, Element.MOVE_ORIGINATOR_AE_TITLE}


Values = Mapping[Element, int | str | None]  # of a message; None leaves an element out


def data_set_type(has_data_set: bool) -> int:
    """The Command Data Set Type that says so."""
    return _DATA_SET_FOLLOWS if has_data_set else NO_DATA_SET


def encode_error_comment(comment: str) -> str | None:
    """As the value representation LO holds it; None where there is nothing to be said."""
    return comment[:_MAX_ERROR_COMMENT].encode("ascii", "replace").decode() or None


def encode(values: Values) -> bytes:
    """A command set out of values in ascending order of their elements (PS3.5 7.1).

    Raises:
        LocalProtocolError: a number over 65535, or a text beyond latin-1.
    """
    parts = []
    for element, value in values.items():
        if value is None:
            continue
        if isinstance(value, int):
            if not 0 <= value <= _MAX_UINT16:
                raise LocalProtocolError(f"a value of 0000,{element:04X} does not fit in two bytes")
            parts.append(_NUMBER.pack(0, element, 2, value))
        else:
            raw = encode_text(value)
            if len(raw) % 2:
                raw += b" " if element in _PADDED_WITH_SPACE else b"\0"
            parts.append(_ELEMENT_HEADER.pack(0, element, len(raw)))
            parts.append(raw)
    elements = b"".join(parts)
    return _GROUP_LENGTH.pack(0, Element.GROUP_LENGTH, 4, len(elements)) + elements


class CommandSet(dict[int, bytes]):
    """The values of a received command set by element number."""

    @classmethod
    def decode(cls, data: bytes) -> Self:
        command_set = cls()
        position, end = 0, len(data)
        while position < end:
            start = position + _ELEMENT_HEADER.size
            if start > end:
                raise ProtocolError(f"{end - position} bytes left over in a command set")
            group, element, length = _ELEMENT_HEADER.unpack_from(data, position)
            if group != 0:
                raise ProtocolError(f"group {group:04X} in a command set")
            position = start + length
            if position > end:
                raise ProtocolError(f"element 0000,{element:04X} of {length} bytes is cut off")
            command_set[element] = data[start:position]
        return command_set

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows."""
        return self.required_number(Element.COMMAND_DATA_SET_TYPE) != NO_DATA_SET

    def number(self, element: Element) -> int | None:
        """A value of two bytes; None if it is absent, empty or cut short."""
        value = self.get(element)
        return int.from_bytes(value[:2], "little") if value and len(value) >= 2 else None

    def required_number(self, element: Element) -> int:
        number = self.number(element)
        if number is None:
            raise ProtocolError(f"a command set without a value of 0000,{element:04X}")
        return number

    def text(self, element: Element) -> str:
        """A text without its padding; empty if it is absent."""
        value = self.get(element)
        return decode_text(value) if value else ""
