"""What a pipeline leaves in its output: regular files, and no way out of the folder."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from shared.delivery import INSTANCE_SUFFIX
from shared.part10 import NotPart10Error, read_file_meta
from shared.uid import is_uid

# A name that no program makes of a patient's name, number or date.
_TOLD = re.compile(r"[0-2](\.(0|[1-9][0-9]*)){3,}\.dcm", re.ASCII)


@dataclass(frozen=True, slots=True)
class BadResult:
    """A file that is named as an instance, and cannot be exported as one."""

    path: Path
    what: str

    @property
    def told(self) -> str:
        """Its name where that can name no patient: a UID, with `.dcm` after it."""
        return self.path.name if _TOLD.fullmatch(self.path.name) else "a file named *.dcm"


def result_files(folder: Path) -> list[Path]:
    """Every regular file under a folder, in order; links are not followed.

    Raises:
        OSError: a folder cannot be read.
    """
    return sorted(path for path, mode in _files(folder) if stat.S_ISREG(mode))


def result_instances(folder: Path) -> list[Path]:
    """Those of them that are exported."""
    return [path for path in result_files(folder) if path.name.endswith(INSTANCE_SUFFIX)]


def bad_results(folder: Path) -> Iterator[BadResult]:
    """Everything under a folder that is named `*.dcm` and is no DICOM file.

    Raises:
        OSError: a folder cannot be read.
    """
    for path, mode in _files(folder):
        if path.name.endswith(INSTANCE_SUFFIX) and (what := _fault(path, mode)):
            yield BadResult(path, what)


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """All that is not a folder, with its mode."""
    for parent, folders, names in os.walk(folder, onerror=_raise):
        for name in (*folders, *names):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if not stat.S_ISDIR(mode):
                yield path, mode


def _raise(error: OSError) -> NoReturn:
    raise error


def _fault(path: Path, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "it is a symbolic link"
    if not stat.S_ISREG(mode):
        return "it is no regular file"
    try:
        meta = read_file_meta(path)
    except NotPart10Error as error:
        return str(error)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if not (is_uid(meta.sop_class_uid) and is_uid(meta.sop_instance_uid)):
        return "its SOP Class UID or SOP Instance UID is no UID"
    return ""
