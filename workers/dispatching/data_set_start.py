"""The start of a data set (PS3.5 7.1), read as little as can be: a few elements, no pixels.

pydicom parses; here its memory, its depth and its work are bounded, whatever the bytes are.
"""

import zlib
from collections.abc import Collection
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator

from shared.part10 import read_file_meta

_MAX_READ = 1 << 20  # bytes; of a deflated data set, of what goes in as of what comes out
_MAX_VALUE = 1024  # bytes

_IMPLICIT = "1.2.840.10008.1.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"


class NotADataSetError(Exception):
    """The bytes are none, or go on past the limits."""


class _Bounded:
    """A file of which so much is read, passed over as much as may be."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = _MAX_READ
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise NotADataSetError("too much of it comes before what is looked for")
        return self._file.read(size)


def read_start(path: Path, tags: Collection[int]) -> dict[int, str]:
    """The texts of these elements of the data set itself, those that it has and that are short.

    Raises:
        NotPart10Error, NotADataSetError: it cannot be parsed.
        OSError: the file cannot be read.
    """
    meta = read_file_meta(path)
    with path.open("rb") as file:
        file.seek(meta.data_set_offset)
        try:
            deflated = meta.transfer_syntax_uid == _DEFLATED
            return _texts(_inflated(file) if deflated else file, meta.transfer_syntax_uid, tags)
        except OSError as error:
            if error.errno is None:  # pydicom's word for a tag that is not there
                raise NotADataSetError(str(error)) from None
            raise
        except NotADataSetError:
            raise
        except Exception as error:  # noqa: BLE001 - pydicom lets all faults through
            raise NotADataSetError(type(error).__name__) from None


def _inflated(file: BinaryIO) -> BinaryIO:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    return BytesIO(inflate.decompress(file.read(_MAX_READ), _MAX_READ))


def _texts(file: BinaryIO, transfer_syntax: str, tags: Collection[int]) -> dict[int, str]:
    last = max(tags)
    found: dict[int, str] = {}
    elements = data_element_generator(
        cast(BinaryIO, _Bounded(file)),
        transfer_syntax == _IMPLICIT,
        transfer_syntax != _BIG_ENDIAN,
        stop_when=lambda tag, vr, length: tag > last,
        defer_size=_MAX_VALUE,
        specific_tags=list(tags),
    )
    for element in elements:
        if not isinstance(element, RawDataElement) or element.tag not in tags:
            continue
        if element.value and len(element.value) == element.length:  # else it is torn, or long
            found.setdefault(element.tag, element.value.decode("latin-1").strip(" \0"))
    return found
