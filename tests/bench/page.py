"""docs/benchmarks.md: a section of each bench, each written without the others."""

import os
import platform
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

from tests.peers.tools import run

_PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_HEAD = """\
# Benchmarks

`make bench` writes this page. Senders and receivers share the machine; the absolute figures are
this machine's, the ratios travel better.
"""


class Section(StrEnum):
    """By their headings, in the page's order."""

    RECEIVING = "Receiving"
    SENDING = "Sending"
    STORESCU = "An unmodified storescu"
    CROWD = "A thousand open associations"
    LARGE_INSTANCE = "An instance of 2 GB"
    DISPATCH = "From the release to the dispatch"
    HANDOVER = "From a send to the next"
    START = "From the start to listening"
    LIMITS = "What limits it"  # written by hand


def write(section: Section, text: str) -> None:
    """Replaces this section and leaves the others as they are."""
    _, *old = re.split("^## ", _PAGE.read_text(), flags=re.MULTILINE)
    texts = {each.partition("\n")[0]: f"## {each.rstrip()}\n" for each in old}
    texts[section] = f"## {section}\n\n{text.strip()}\n\nMeasured on {_machine()}.\n"
    _PAGE.write_text("\n".join([_HEAD, *(texts[each] for each in Section if each in texts)]))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column, of the rows' names, goes without one itself."""
    head = f"| | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _machine() -> str:
    dcmtk = run("storescp", "--version").stdout.split()[2]
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, pynetdicom {version('pynetdicom')}, DCMTK {dcmtk}"
    )
