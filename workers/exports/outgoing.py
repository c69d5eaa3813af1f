"""Files to be sent, and the associations that they need."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from shared.part10 import FileMeta, read_file_meta
from shared.result_files import result_instances
from shared.stored_file import StoredFile
from workers.scu.contexts import MAX_CONTEXTS


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A DICOM file to be sent; `name` is relative to the folder that is sent."""

    name: str
    path: Path
    meta: FileMeta
    stored: StoredFile | None = None  # as it was, where that is known

    @property
    def file(self) -> tuple[Path, FileMeta]:
        return self.path, self.meta

    @property
    def is_as_stored(self) -> bool:
        """
        Raises:
            OSError: it cannot be read.
        """
        return self.stored is None or self.stored.is_as_stored(self.path)


def outgoing_in(folder: Path) -> list[Outgoing]:
    """Every `*.dcm` under a folder, in order; links are not followed.

    Raises:
        NotPart10Error: one of them is not a DICOM file.
        OSError: one of them cannot be read.
    """
    return [
        Outgoing(str(path.relative_to(folder)), path, read_file_meta(path))
        for path in result_instances(folder)
    ]


def outgoing(folder: Path, stored: Iterable[StoredFile]) -> Iterator[Outgoing]:
    """Those of these files that are under the folder, and as they were.

    Raises:
        NotPart10Error: one of them is not a DICOM file.
        OSError: one of them cannot be read.
    """
    for each in stored:
        path = folder / each.name
        if each.is_as_stored(path):
            yield Outgoing(each.name, path, read_file_meta(path), each)


def by_association(files: Iterable[Outgoing]) -> Iterator[list[Outgoing]]:
    """The files in parts whose pairs of SOP class and transfer syntax fit one association."""
    pairs: dict[tuple[str, str], int] = {}

    def part_of(file: Outgoing) -> int:
        pair = (file.meta.sop_class_uid, file.meta.transfer_syntax_uid)
        return pairs.setdefault(pair, len(pairs)) // MAX_CONTEXTS

    numbered = sorted(((part_of(file), file) for file in files), key=lambda item: item[0])
    for _, part in groupby(numbered, key=lambda item: item[0]):
        yield [file for _, file in part]
