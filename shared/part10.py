"""DICOM files (PS3.10 7.1): the head before a data set, written and read; data sets stay bytes."""

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_PREAMBLE = bytes(128)  # zero: a preamble can hold an executable (CVE-2019-11687)
_MAGIC = b"DICM"
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_FIRST_READ = 4096  # nearly always enough
_MAX_HEAD = 1 << 20  # no honest file meta is longer

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
    with path.open("rb", buffering=0) as file:
        head = file.read(_FIRST_READ)
        try:
            return _parse(head, whole=len(head) < _FIRST_READ)
        except _ShortError:
            head += file.read(_MAX_HEAD)
        try:
            return _parse(head, whole=True)
        except _ShortError:
            raise NotPart10Error("the file meta information is torn") from None


class _ShortError(Exception):
    """The head goes on past the bytes at hand."""


def _parse(head: bytes, *, whole: bool) -> FileMeta:
    """`whole`: the file has no more than these bytes."""
    if head[128:132] != _MAGIC:
        raise NotPart10Error("there is no DICM prefix after the preamble")
    texts: dict[int, str] = {}
    position = 132
    while not (whole and position == len(head)):  # a data set may be empty
        # Group 0002 is Explicit VR Little Endian; its end is where another group begins, since
        # a wrong (0002,0000) is a common fault of writers.
        group, element, vr, length = _header(head, position)
        if group != 0x0002:
            break
        position += 12 if vr in LONG_VRS else 8
        if position + length > len(head):
            raise _ShortError
        texts[element] = head[position : position + length].decode("latin-1").rstrip("\x00 ")
        position += length
    return FileMeta(
        sop_class_uid=_required(texts, _MEDIA_STORAGE_SOP_CLASS_UID),
        sop_instance_uid=_required(texts, _MEDIA_STORAGE_SOP_INSTANCE_UID),
        transfer_syntax_uid=_required(texts, _TRANSFER_SYNTAX_UID),
        data_set_offset=position,
    )


def _required(texts: dict[int, str], element: int) -> str:
    if text := texts.get(element):
        return text
    raise NotPart10Error(f"file meta lacks (0002,{element:04X})")


def _header(head: bytes, position: int) -> tuple[int, int, bytes, int]:
    if position + 4 > len(head):
        raise _ShortError
    group, element = struct.unpack_from("<HH", head, position)
    if group != 0x0002:
        return group, element, b"", 0
    if position + 8 > len(head):
        raise _ShortError
    vr, short = struct.unpack_from("<2sH", head, position + 4)
    if vr in LONG_VRS:
        if position + 12 > len(head):
            raise _ShortError
        return group, element, vr, struct.unpack_from("<I", head, position + 8)[0]
    return group, element, vr, short
