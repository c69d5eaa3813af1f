"""Data sets made with pydicom, of which only the start matters."""

import zlib

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from tests.support.samples import CT, EXPLICIT, IMPLICIT

BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"


def described(uid: str, **elements: object) -> Dataset:
    """A CT image with these elements, by keyword; a patient's name is in it, too."""
    data_set = Dataset()
    data_set.SOPClassUID = CT
    data_set.SOPInstanceUID = uid
    data_set.PatientName = "DOE^JOHN"
    for keyword, value in elements.items():
        setattr(data_set, keyword, value)
    return data_set


def encoded(data_set: Dataset, transfer_syntax: str = EXPLICIT) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian = transfer_syntax != BIG_ENDIAN
    buffer.is_implicit_VR = transfer_syntax == IMPLICIT
    write_dataset(buffer, data_set)
    data = buffer.getvalue()
    return deflated(data) if transfer_syntax == DEFLATED else data


def deflated(data: bytes) -> bytes:
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()
