"""The parts that PDUs are made of: variable items, counted fields, AE titles and UIDs."""

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct

from shared.upper_layer.errors import LocalProtocolError, ProtocolError

_ITEM_HEADER = Struct(">BxH")
_MAX_UINT16 = 0xFFFF
_AE_TITLE_LENGTH = 16


class Item(IntEnum):
    """Types of the items in A-ASSOCIATE-RQ and -AC; others are skipped (PS3.8 9.3.1)."""

    APPLICATION_CONTEXT = 0x10
    PROPOSED_CONTEXT = 0x20
    ANSWERED_CONTEXT = 0x21
    ABSTRACT_SYNTAX = 0x30
    TRANSFER_SYNTAX = 0x40
    USER_INFORMATION = 0x50


def encode_item(item_type: int, content: bytes) -> bytes:
    """An item or sub-item: type, a reserved byte, length, content (PS3.8 9.3.2)."""
    return _ITEM_HEADER.pack(item_type, _checked_length(content)) + content


def items(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The items between `start` and `end`: the type of each, and where its content lies."""
    while start < end:
        if end - start < _ITEM_HEADER.size:
            raise ProtocolError(f"{end - start} bytes left where an item's header should be")
        item_type, length = _ITEM_HEADER.unpack_from(data, start)
        start += _ITEM_HEADER.size
        stop = start + length
        if stop > end:
            raise ProtocolError(
                f"item {item_type:02X}H of {length} bytes, {end - start} bytes left for it"
            )
        yield item_type, start, stop
        start = stop


def fields_end(fields: Struct, start: int, end: int) -> int:
    """Where fixed fields that begin at `start` end, which must be within `end`."""
    if end - start < fields.size:
        raise ProtocolError(f"{end - start} bytes where {fields.size} are fixed fields")
    return start + fields.size


class Fields:
    """Reads the fields of one item in turn; bytes after the last field asked for are ignored."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0

    @property
    def finished(self) -> bool:
        return self._position >= len(self._content)

    def take(self, size: int) -> bytes:
        start, self._position = self._position, self._position + size
        if self._position > len(self._content):
            raise ProtocolError(
                f"a field ends at byte {self._position} of an item of {len(self._content)} bytes"
            )
        return self._content[start : self._position]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def counted(self) -> bytes:
        """A field that comes after its own length, two bytes."""
        return self.take(self.number(2))

    def rest(self) -> bytes:
        return self.take(len(self._content) - self._position)


def encode_counted(content: bytes) -> bytes:
    """A field behind its own length, two bytes."""
    return _checked_length(content).to_bytes(2, "big") + content


def decode_text(raw: bytes) -> str:
    """A UID or a name. Peers pad with NUL or space; no byte is undecodable in latin-1."""
    return raw.decode("latin-1").rstrip("\0 ")


def encode_text(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise LocalProtocolError("a UID or a name has a character beyond latin-1") from None


class Texts(dict[bytes, str]):
    """`decode_text` with a memory, for one PDU: the same few UIDs come again and again in it."""

    def __missing__(self, raw: bytes) -> str:
        text = self[raw] = decode_text(raw)
        return text


def decode_ae_title(raw: bytes) -> str:
    """An AE title without its padding: spaces by the standard, NULs from some peers."""
    return decode_text(raw).lstrip(" ")


def encode_ae_title(title: str) -> bytes:
    """An AE title as PDUs have it: sixteen bytes, padded with spaces (PS3.8 9.3.2)."""
    raw = encode_text(title)
    if len(raw) > _AE_TITLE_LENGTH:
        raise LocalProtocolError(f"an AE title of {len(raw)} characters")
    return raw.ljust(_AE_TITLE_LENGTH)


def _checked_length(content: bytes) -> int:
    if len(content) > _MAX_UINT16:
        raise LocalProtocolError(f"{len(content)} bytes do not fit in one item or field")
    return len(content)
