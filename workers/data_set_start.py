"""The start of a data set (PS3.5 7.1), read as little as can be: a few elements, no pixels.

Whatever the bytes are, memory, depth and work are bounded: values are passed over unread, nested
items are walked without recursion, and of a deflated data set only the beginning is inflated.
pydicom bounds none of these.
"""

import struct
import zlib
from collections.abc import Collection, Iterator
from io import SEEK_CUR, BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from shared.part10 import LONG_VRS, read_file_meta

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF  # length (PS3.5 7.1.1)

_MAX_ELEMENTS = 100_000
_MAX_DEPTH = 64  # sequences and items in each other
_MAX_VALUE = 1024  # bytes
_MAX_INFLATED = 1 << 20  # bytes, of what goes in as of what comes out


class NotADataSetError(Exception):
    """The bytes are none, or go on past the limits."""


class _Encoding(NamedTuple):
    """Of data elements (PS3.5 annex A)."""

    byte_order: str = "<"
    implicit: bool = False


_DEFLATED = "1.2.840.10008.1.2.1.99"
_IMPLICIT = _Encoding(implicit=True)
_ENCODINGS = {  # all others are Explicit VR Little Endian
    "1.2.840.10008.1.2": _IMPLICIT,
    "1.2.840.10008.1.2.2": _Encoding(byte_order=">"),
}


class _Header(NamedTuple):
    tag: int
    vr: bytes  # empty where it is implicit
    length: int


def read_start(path: Path, tags: Collection[int]) -> dict[int, str]:
    """The texts of these elements of the data set itself, those that it has and that are short.

    Raises:
        NotPart10Error, NotADataSetError: it cannot be parsed.
        OSError: the file cannot be read.
    """
    meta = read_file_meta(path)
    with path.open("rb") as file:
        file.seek(meta.data_set_offset)
        deflated = meta.transfer_syntax_uid == _DEFLATED
        encoding = _ENCODINGS.get(meta.transfer_syntax_uid, _Encoding())
        return _texts(_inflated(file) if deflated else file, encoding, tags)


def _inflated(file: BinaryIO) -> BinaryIO:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return BytesIO(inflate.decompress(file.read(_MAX_INFLATED), _MAX_INFLATED))
    except zlib.error:
        raise NotADataSetError("it cannot be inflated") from None


def _texts(file: BinaryIO, encoding: _Encoding, tags: Collection[int]) -> dict[int, str]:
    last = max(tags)
    found: dict[int, str] = {}
    for header in _top_level(file, encoding):
        if header.tag > last:
            break
        if header.tag not in tags or header.length > _MAX_VALUE:
            file.seek(header.length, SEEK_CUR)
            continue
        value = file.read(header.length)
        if len(value) == header.length:  # else it is torn
            found.setdefault(header.tag, value.decode("latin-1").strip(" \0"))
    return found


def _top_level(file: BinaryIO, encoding: _Encoding) -> Iterator[_Header]:
    """Each element of the data set itself, with the file at its value, which is to be passed."""
    within = [encoding]  # the data set, then each sequence and item of undefined length
    for _ in range(_MAX_ELEMENTS):
        header = _header(file, within[-1])
        if header is None:
            return
        if header.tag in (_ITEM_END, _SEQUENCE_END):
            within.pop()
            if not within:
                raise NotADataSetError("something ends that did not begin")
        elif header.length == _UNDEFINED:
            # PS3.5 6.2.2: what is in a UN of undefined length is implicit.
            within.append(_IMPLICIT if header.vr == b"UN" else within[-1])
            if len(within) > _MAX_DEPTH:
                raise NotADataSetError("its sequences are too deep")
        elif len(within) > 1 or header.tag == _ITEM:
            file.seek(header.length, SEEK_CUR)
        else:
            yield header
    raise NotADataSetError("it has too many elements")


def _header(file: BinaryIO, encoding: _Encoding) -> _Header | None:
    """None at the end, also at one in the middle of it."""
    start = file.read(8)
    if len(start) < 8:
        return None
    order = encoding.byte_order
    group, element, length = struct.unpack(f"{order}HHL", start)
    tag, vr = group << 16 | element, start[4:6]
    # Some writers fall into implicit VR where they should not.
    if encoding.implicit or group == 0xFFFE or not (vr.isalpha() and vr.isupper()):
        return _Header(tag, b"", length)
    if vr not in LONG_VRS:
        return _Header(tag, vr, struct.unpack(f"{order}H", start[6:])[0])
    more = file.read(4)
    return _Header(tag, vr, struct.unpack(f"{order}L", more)[0]) if len(more) == 4 else None
