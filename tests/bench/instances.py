"""What the benches send: instances of a given size, as PDUs encoded beforehand or as files."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

from shared.part10 import encode_head
from shared.upper_layer.c_services import StoreRequest
from shared.upper_layer.dimse import encode_command
from shared.upper_layer.writer import command_pdus, data_pdus

CONTEXT_ID = 1
TRANSFER_SYNTAX = str(ExplicitVRLittleEndian)
_UID_DIGITS = 20
_PLACE = "2.25." + "7" * _UID_DIGITS  # stands where each instance's own UID goes


@dataclass(frozen=True)
class Kind:
    """A kind of instance: square images of 16 bits."""

    name: str
    sop_class_uid: str
    side: int


CT = Kind("CT, 526 KB", str(CTImageStorage), 512)
MR = Kind("MR, 32 KB", str(MRImageStorage), 127)


class Messages:
    """C-STORE requests of one kind for a peer's maximum PDU length; only the UID differs."""

    def __init__(self, kind: Kind, max_pdu_length: int) -> None:
        fragment = min(max_pdu_length or 131072, 131072) - 6
        command = encode_command(StoreRequest(1, kind.sop_class_uid, _PLACE))
        data_set = memoryview(_data_set(kind))
        encoded = command_pdus(CONTEXT_ID, command, fragment) + b"".join(
            data_pdus(CONTEXT_ID, data_set, fragment, last=True)
        )
        end = encoded.rindex(_PLACE.encode()) + len(_PLACE)
        self._head, self.tail = encoded[:end], memoryview(encoded)[end:]
        self.size = len(encoded)

    def buffers(self, number: int) -> list[bytes | memoryview]:
        """The request for the instance of this number, for `sendmsg`."""
        return [self._head.replace(_PLACE.encode(), _uid(number).encode()), self.tail]


def write_files(kind: Kind, folder: Path, count: int) -> list[Path]:
    """So many instances of one kind as DICOM files, in a new folder."""
    folder.mkdir()
    data_set = _data_set(kind)
    paths = [folder / f"{number}.dcm" for number in range(count)]
    for number, path in enumerate(paths):
        uid = _uid(number)
        head = encode_head(
            sop_class_uid=kind.sop_class_uid,
            sop_instance_uid=uid,
            transfer_syntax_uid=TRANSFER_SYNTAX,
            implementation_class_uid="2.25.9",
            implementation_version_name="BENCH",
            calling_ae_title="SENDER",
            called_ae_title="BENCH",
        )
        path.write_bytes(head + data_set.replace(_PLACE.encode(), uid.encode()))
    return paths


def _uid(number: int) -> str:
    return f"2.25.{10 ** (_UID_DIGITS - 1) + number}"


def _data_set(kind: Kind) -> bytes:
    data_set = Dataset()
    values: dict[str, Any] = {
        "SOPClassUID": kind.sop_class_uid,
        "SOPInstanceUID": _PLACE,
        "PatientName": "Bench^Mark",
        "PatientID": "BENCH",
        "StudyInstanceUID": "2.25.1",
        "SeriesInstanceUID": "2.25.2",
        "Modality": kind.name[:2],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": kind.side,
        "Columns": kind.side,
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
        "PixelData": bytes(range(256)) * (kind.side * kind.side * 2 // 256 + 1),
    }
    for name, value in values.items():
        setattr(data_set, name, value)
    data_set.PixelData = data_set.PixelData[: kind.side * kind.side * 2]
    data_set["PixelData"].VR = "OW"
    buffer = BytesIO()
    dcmwrite(buffer, data_set, implicit_vr=False, little_endian=True)
    return buffer.getvalue()
