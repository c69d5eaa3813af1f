"""Data sets to send: those that pydicom brings along, and some of our own making."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pydicom.data

from shared.part10 import NotPart10Error, read_file_meta
from shared.sop_classes import is_storage
from shared.uid import is_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
VERIFICATION = "1.2.840.10008.1.1"
WORKLIST = "1.2.840.10008.5.1.4.31"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


class Sample(NamedTuple):
    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes


def data_set_of(path: Path) -> bytes:
    """The bytes after the file meta information."""
    return path.read_bytes()[read_file_meta(path).data_set_offset :]


def bundled_samples() -> Iterator[Sample]:
    """Each SOP instance with file meta in pydicom's wheel; never any of those it would download."""
    for path in sorted(Path(pydicom.data.__file__).parent.rglob("*.dcm")):
        try:
            meta = read_file_meta(path)
        except NotPart10Error:
            continue
        if is_uid(meta.sop_instance_uid) and is_storage(meta.sop_class_uid):
            yield Sample(
                path,
                meta.sop_class_uid,
                meta.sop_instance_uid,
                meta.transfer_syntax_uid,
                path.read_bytes()[meta.data_set_offset :],
            )


def sample_file(name: str) -> Path:
    """One of pydicom's files."""
    return next(Path(pydicom.data.__file__).parent.rglob(name))


def identified(uid: str, study: str = "", series: str = "", fill: int = 0) -> bytes:
    """A CT image, Explicit VR Little Endian: these UIDs, but for empty ones, and some bytes."""
    elements = [
        (0x0008, 0x0016, CT),
        (0x0008, 0x0018, uid),
        (0x0020, 0x000D, study),
        (0x0020, 0x000E, series),
    ]
    encoded = b""
    for group, element, text in elements:
        if text:
            value = text.encode() + b"\0" * (len(text) % 2)
            encoded += struct.pack("<HH2sH", group, element, b"UI", len(value)) + value
    return encoded + struct.pack("<HH2sHI", 0x0021, 0x1001, b"OB", 0, 100) + bytes([fill]) * 100


def data_set(size: int, fill: int = 0) -> bytes:
    """An Explicit VR Little Endian data set of `size` bytes: one private OB element."""
    header = struct.pack("<HH2sHI", 0x0009, 0x1001, b"OB", 0, size - 12)
    return header + bytes([fill]) * (size - 12)
