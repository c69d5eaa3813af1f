"""Comparing files byte for byte."""

from pathlib import Path

_AT_ONCE = 1 << 20


def same_from(first: Path, first_offset: int, second: Path, second_offset: int) -> bool:
    """Whether two files are the same from an offset of each on.

    Raises:
        OSError: one of them cannot be read.
    """
    if first.stat().st_size - first_offset != second.stat().st_size - second_offset:
        return False
    with first.open("rb") as one, second.open("rb") as other:
        one.seek(first_offset)
        other.seek(second_offset)
        while piece := one.read(_AT_ONCE):
            if piece != other.read(_AT_ONCE):
                return False
    return True
