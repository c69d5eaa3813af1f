"""`sent-<destination>.log`: a line for each C-STORE response; a retry resends only the rest.

What the destination turns out not to keep is owed again (PS3.4 J.3).

A further round, which a person asked for, takes up again what had failed for good. The log is
written as the responses come, before anything is told to Redis.
"""

import errno
import os
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from shared.locked_file import LockedFile
from shared.sent_line import (
    BEGUN,
    COMMITTED,
    MISSING,
    NO_STATUS,
    ROUND,
    SentLine,
    sent_lines,
    whole_lines,
)
from workers.exports.store_status import Verdict

_FINAL = {Verdict.DELIVERED, Verdict.WARNING, Verdict.FAILED}


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one instance; a status of None is a failure without a response."""

    verdict: Verdict
    status: int | None


class SentLog:
    """The log of one job and destination, held by the one sender that may write it."""

    def __init__(self, held: LockedFile, round_: int) -> None:
        self._held = held
        self.begun = time.time()  # of this round
        self._round = 0
        self.final: dict[str, Sent] = {}
        self.committed: set[str] = set()
        self._answers: Counter[tuple[str, int | None]] = Counter()
        self._read()
        if self._round < round_:
            self._write(ROUND, f"{round_:04}", "")
            self._begin_round(round_, time.time())

    @classmethod
    def try_open(cls, path: Path, round_: int = 0) -> "SentLog | None":
        """The log in this round or a later one, or None while another sender has it."""
        held = LockedFile.try_lock(path)
        if held is None:
            return None
        with ExitStack() as unless_read:  # or this process would keep it from every later sender
            unless_read.enter_context(held)
            log = cls(held, round_)
            unless_read.pop_all()
        return log

    def record(self, file: str, verdict: Verdict, status: int | None) -> None:
        """Appends a response; `file` is relative to the folder that is exported."""
        self._write(verdict.name, _hexadecimal(status), file)
        self._take(file, verdict, status)

    def commit(self, file: str) -> None:
        """The destination keeps the instance, and says so."""
        self._write(COMMITTED, NO_STATUS, file)
        self._take_commitment(COMMITTED, file)

    def miss(self, file: str, failure_reason: int | None) -> None:
        """The destination does not keep the instance, whatever it has answered to it."""
        self._write(MISSING, _hexadecimal(failure_reason), file)
        self._take_commitment(MISSING, file)

    def answers(self, file: str, status: int | None) -> int:
        """How often a file was answered with a status so far."""
        return self._answers[file, status]

    def count(self, verdict: Verdict) -> int:
        return sum(1 for sent in self.final.values() if sent.verdict is verdict)

    def close(self) -> None:
        self._held.close()

    def __enter__(self) -> "SentLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        content = self._held.path.read_bytes()
        # What a crash left of a line is cut off: that instance is sent again.
        whole = whole_lines(content)
        os.ftruncate(self._held.descriptor, len(whole))
        os.lseek(self._held.descriptor, 0, os.SEEK_END)
        if not whole:
            self._write(BEGUN, NO_STATUS, "")
            return
        first, *lines = sent_lines(whole)
        self.begun = first.at
        for line in lines:
            if line.word == ROUND:
                self._begin_round(int(line.status), line.at)
                continue
            if line.word in (COMMITTED, MISSING):
                self._take_commitment(line.word, line.file)
                continue
            status = None if line.status == NO_STATUS else int(line.status, 16)
            self._take(line.file, Verdict[line.word], status)

    def _begin_round(self, number: int, at: float) -> None:
        self._round, self.begun = number, at
        self._answers.clear()
        self.final = {
            file: sent for file, sent in self.final.items() if sent.verdict is not Verdict.FAILED
        }

    def _take(self, file: str, verdict: Verdict, status: int | None) -> None:
        self._answers[file, status] += 1
        if verdict in _FINAL:
            self.final[file] = Sent(verdict, status)

    def _take_commitment(self, word: str, file: str) -> None:
        if word == COMMITTED:
            self.committed.add(file)
        else:
            self.committed.discard(file)
            self.final.pop(file, None)

    def _write(self, word: str, status: str, file: str) -> None:
        line = SentLine(time.time(), word, status, file).encode()
        if os.write(self._held.descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _hexadecimal(status: int | None) -> str:
    return NO_STATUS if status is None else f"{status:04X}"
