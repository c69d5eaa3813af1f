"""What storage commitment says: the request, written, and the report, read (PS3.4 J.3)."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread

_TRANSACTION_UID = (0x0008, 0x1195)
_REFERENCED_SOP_SEQUENCE = (0x0008, 0x1199)
_REFERENCED_SOP_CLASS_UID = (0x0008, 0x1150)
_REFERENCED_SOP_INSTANCE_UID = (0x0008, 0x1155)
_ITEM = (0xFFFE, 0xE000)


def encode_request(transaction_uid: str, references: Iterable[tuple[str, str]]) -> bytes:
    """The Action Information, in Implicit VR Little Endian, for SOP classes and instances.

    Not by pydicom: modalities send UIDs that it would not write.
    """
    items = b"".join(
        _element(
            _ITEM,
            _uid(_REFERENCED_SOP_CLASS_UID, sop_class) + _uid(_REFERENCED_SOP_INSTANCE_UID, uid),
        )
        for sop_class, uid in references
    )
    return _uid(_TRANSACTION_UID, transaction_uid) + _element(_REFERENCED_SOP_SEQUENCE, items)


@dataclass(frozen=True, slots=True)
class Told:
    """What a destination said, by SOP Instance UID."""

    committed: frozenset[str]
    failed: dict[str, int | None]  # with the Failure Reason


def read_told(path: Path) -> Told | None:
    """What a report says; None for one that cannot be read.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        report = dcmread(path)
        failed = {
            str(item.ReferencedSOPInstanceUID): _reason(item)
            for item in report.get("FailedSOPSequence") or ()
        }
        referenced = report.get("ReferencedSOPSequence") or ()
        committed = {str(item.ReferencedSOPInstanceUID) for item in referenced}
    except OSError:
        raise
    except Exception:  # noqa: BLE001 - pydicom lets through whatever a damaged data set causes
        return None
    return Told(frozenset(committed - failed.keys()), failed)


def _reason(item: Dataset) -> int | None:
    reason = item.get("FailureReason")
    return reason if isinstance(reason, int) else None


def _uid(tag: tuple[int, int], uid: str) -> bytes:
    value = uid.encode("latin-1")  # as it was read
    return _element(tag, value + b"\0" * (len(value) % 2))


def _element(tag: tuple[int, int], value: bytes) -> bytes:
    return struct.pack("<HHI", *tag, len(value)) + value
