"""The command set: elements of group 0000 in Implicit VR Little Endian (PS3.7 6.3.1, annex E)."""

from enum import IntEnum
from struct import Struct
from typing import Self

from shared.upper_layer.errors import LocalProtocolError, ProtocolError
from shared.upper_layer.items import decode_text, encode_text

_ELEMENT_HEADER = Struct("<HHL")
_GROUP_LENGTH = Struct("<HHLL")
_MAX_UINT16 = 0xFFFF


class Element(IntEnum):
    """Element numbers within group 0000 (PS3.7 table E.1-1)."""

    GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS_UID = 0x0002
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
    PRIORITY = 0x0700
    COMMAND_DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    ERROR_COMMENT = 0x0902
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    MOVE_ORIGINATOR_AE_TITLE = 0x1030
    MOVE_ORIGINATOR_MESSAGE_ID = 0x1031


# The value representations AE and LO are padded with a space, UI with a NUL (PS3.5 6.2).
_PADDED_WITH_SPACE = {Element.ERROR_COMMENT, Element.MOVE_ORIGINATOR_AE_TITLE}


class CommandSet(dict[int, bytes]):
    """The values of a command set by element number."""

    @classmethod
    def of(cls, values: dict[Element, int | str | None]) -> Self:
        """From values as a message has them; None leaves an element out."""
        return cls(
            (element, _encode_value(element, value))
            for element, value in values.items()
            if value is not None
        )

    def encode(self) -> bytes:
        # PS3.5 7.1: ascending, as every data set.
        elements = b"".join(
            _ELEMENT_HEADER.pack(0, element, len(value)) + value
            for element, value in sorted(self.items())
        )
        return _GROUP_LENGTH.pack(0, Element.GROUP_LENGTH, 4, len(elements)) + elements

    @classmethod
    def decode(cls, data: bytes) -> Self:
        command_set = cls()
        position, end = 0, len(data)
        while position < end:
            if end - position < _ELEMENT_HEADER.size:
                raise ProtocolError(f"{end - position} bytes left over in a command set")
            group, element, length = _ELEMENT_HEADER.unpack_from(data, position)
            position += _ELEMENT_HEADER.size
            if group != 0:
                raise ProtocolError(f"group {group:04X} in a command set")
            if length > end - position:
                raise ProtocolError(f"element 0000,{element:04X} of {length} bytes is cut off")
            command_set[element] = data[position : position + length]
            position += length
        return command_set

    def number(self, element: Element) -> int | None:
        """A value of two bytes; None if it is absent, empty or cut short."""
        value = self.get(element, b"")
        return int.from_bytes(value[:2], "little") if len(value) >= 2 else None

    def required_number(self, element: Element) -> int:
        number = self.number(element)
        if number is None:
            raise ProtocolError(f"a command set without a value of 0000,{element:04X}")
        return number

    def text(self, element: Element) -> str:
        """A text without its padding; empty if it is absent."""
        return decode_text(self.get(element, b""))


def _encode_value(element: Element, value: int | str) -> bytes:
    if isinstance(value, int):
        if not 0 <= value <= _MAX_UINT16:
            raise LocalProtocolError(f"a value of 0000,{element:04X} does not fit in two bytes")
        return value.to_bytes(2, "little")
    raw = encode_text(value)
    if len(raw) % 2:
        raw += b" " if element in _PADDED_WITH_SPACE else b"\0"
    return raw
