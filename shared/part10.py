"""DICOM files (PS3.10 7.1): the head before a data set, written and read; data sets stay bytes."""

import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_PREAMBLE = bytes(128)  # zero: a preamble can hold an executable (CVE-2019-11687)
_MAGIC = b"DICM"
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_FIRST_READ = 4096  # nearly always enough
_MAX_HEAD = 1 << 20  # no honest file meta is longer

_HEADER = struct.Struct("<HH2sH")  # of an element: group, number, VR, length if that VR's is short
_LONG_LENGTH = struct.Struct("<I")
_NO_HEADER = bytes(_HEADER.size + _LONG_LENGTH.size)  # what reads as the end of group 0002
_TAG = 4  # bytes

_MEDIA_STORAGE_SOP_CLASS_UID = 0x0002
_MEDIA_STORAGE_SOP_INSTANCE_UID = 0x0003
_TRANSFER_SYNTAX_UID = 0x0010


class NotPart10Error(Exception):
    """A file that is not a DICOM file with the file meta that PS3.10 7.1 asks for."""


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What a sender must know of a file (PS3.10 table 7.1-1)."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set_offset: int


def encode_head(
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    implementation_class_uid: str,
    implementation_version_name: str,
    calling_ae_title: str,
    called_ae_title: str,
) -> bytes:
    """Preamble, prefix and file meta information, up to the data set's first byte."""
    before, after = _around_instance_uid(
        sop_class_uid,
        transfer_syntax_uid,
        implementation_class_uid,
        implementation_version_name,
        calling_ae_title,
        called_ae_title,
    )
    instance_uid = _element(_MEDIA_STORAGE_SOP_INSTANCE_UID, b"UI", sop_instance_uid)
    length = len(before) + len(instance_uid) + len(after)
    group_length = struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, length)
    return b"".join((_PREAMBLE, _MAGIC, group_length, before, instance_uid, after))


@lru_cache(256)  # a series has hundreds of instances that differ in their own UID only
def _around_instance_uid(
    sop_class_uid: str,
    transfer_syntax_uid: str,
    implementation_class_uid: str,
    implementation_version_name: str,
    calling_ae_title: str,
    called_ae_title: str,
) -> tuple[bytes, bytes]:
    """The elements before and after (0002,0003)."""
    version = struct.pack("<HH2sHI2s", 0x0002, 0x0001, b"OB", 0, 2, b"\x00\x01")
    return version + _element(_MEDIA_STORAGE_SOP_CLASS_UID, b"UI", sop_class_uid), b"".join(
        (
            _element(_TRANSFER_SYNTAX_UID, b"UI", transfer_syntax_uid),
            _element(0x0012, b"UI", implementation_class_uid),
            _element(0x0013, b"SH", implementation_version_name),
            _element(0x0016, b"AE", calling_ae_title),  # Source Application Entity Title
            _element(0x0017, b"AE", calling_ae_title),  # Sending Application Entity Title
            _element(0x0018, b"AE", called_ae_title),  # Receiving Application Entity Title
        )
    )


def _element(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("latin-1")
    if len(value) % 2:
        value += b"\x00" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value


def read_file_meta(path: Path) -> FileMeta:
    """The file meta of a DICOM file.

    Raises:
        NotPart10Error: no `DICM` prefix, or file meta that is torn or lacks a UID.
        OSError: the file cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        head = os.read(descriptor, _FIRST_READ)
        try:
            return _parse(head, whole=len(head) < _FIRST_READ)
        except _ShortError:
            head += os.read(descriptor, _MAX_HEAD)
        try:
            return _parse(head, whole=True)
        except _ShortError:
            raise NotPart10Error("the file meta information is torn") from None
    finally:
        os.close(descriptor)


class _ShortError(Exception):
    """The head goes on past the bytes at hand."""


def _parse(head: bytes, *, whole: bool) -> FileMeta:
    """`whole`: the file has no more than these bytes."""
    if head[128:132] != _MAGIC:
        raise NotPart10Error("there is no DICM prefix after the preamble")
    values: dict[int, bytes] = {}
    position, size = 132, len(head)
    padded = head + _NO_HEADER
    while True:
        # Group 0002 is Explicit VR Little Endian; its end is where another group begins, since
        # a wrong (0002,0000) is a common fault of writers.
        group, element, vr, length = _HEADER.unpack_from(padded, position)
        if group != 0x0002:
            break
        start = position + _HEADER.size
        if vr in LONG_VRS:
            (length,) = _LONG_LENGTH.unpack_from(padded, start)
            start += _LONG_LENGTH.size
        end = start + length
        if end > size:
            raise _ShortError
        values[element] = head[start:end]
        position = end
    data_set_is_empty = whole and position == size
    if size - position < _TAG and not data_set_is_empty:
        raise _ShortError
    return FileMeta(
        _required(values, _MEDIA_STORAGE_SOP_CLASS_UID),
        _required(values, _MEDIA_STORAGE_SOP_INSTANCE_UID),
        _required(values, _TRANSFER_SYNTAX_UID),
        position,
    )


def _required(values: dict[int, bytes], element: int) -> str:
    if text := values.get(element, b"").decode("latin-1").rstrip("\x00 "):
        return text
    raise NotPart10Error(f"file meta lacks (0002,{element:04X})")
