"""A line of `sent-<destination>.log`: what was answered to an instance, and when.

Later, where it was asked, whether the destination keeps it (PS3.4 J.3).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

# Words of lines that tell of no instance.
BEGUN = "BEGUN"
ROUND, WHOLE_ROUND = "ROUND", "WHOLE_ROUND"  # the latter owes what was delivered, too
OPENED, RELEASED = "OPENED", "RELEASED"  # an association
COMMITTED, MISSING = "COMMITTED", "MISSING"  # it keeps the instance; it does not say so
NO_STATUS = "----"
HELD = "held"  # status of OPENED: what it delivers counts once it is RELEASED


@dataclass(frozen=True, slots=True)
class SentLine:
    at: float  # POSIX time
    word: str  # for what the answer means
    status: str  # of the C-STORE response, or Failure Reason of what is missing; hexadecimal
    file: str  # relative to the folder that is sent

    def encode(self) -> bytes:
        # Quoted: a program may give its results any name, with a line break in it even.
        return f"{self.at:.3f} {self.word} {self.status} {quote(os.fsencode(self.file))}\n".encode()


def whole_lines(content: bytes) -> bytes:
    """Without what a crash left of the last one, or what is being written of it."""
    return content[: content.rfind(b"\n") + 1]


def sent_lines(whole: bytes) -> Iterator[SentLine]:
    """
    Raises:
        ValueError: this is no such log, or a damaged one.
    """
    for line in whole.decode().splitlines():
        at, *rest = line.split(" ", 3)
        if len(rest) != 3:
            raise ValueError("a line is damaged")
        word, status, name = rest
        yield SentLine(float(at), word, status, os.fsdecode(unquote_to_bytes(name)))
