"""`sent-<destination>.log`: a line for each C-STORE response; a retry resends only the rest.

What the destination turns out not to keep is owed again (PS3.4 J.3).

A further round, which a person asked for, takes up again what had failed for good, and a whole
round what was delivered as well. The log is written as the responses come, before anything is told
to Redis. It says of each association whether what it delivers counts at once, or when it is
released: some destinations drop what came in an association that was lost.
"""

import errno
import os
import time
from collections import Counter
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from shared.job import Job
from shared.job_folder import JobFolder
from shared.locked_file import LockedFile
from shared.sent_line import (
    BEGUN,
    COMMITTED,
    HELD,
    MISSING,
    NO_STATUS,
    OPENED,
    RELEASED,
    ROUND,
    WHOLE_ROUND,
    SentLine,
    sent_lines,
    whole_lines,
)
from workers.commitment.failure_reason import Cure, cure
from workers.exports.store_status import DELIVERED, FAILED, Verdict

_SHORTEST = 10  # halvings: of a thousand instances, one


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one instance; a status of None is an end without a response."""

    verdict: Verdict
    status: int | None


@dataclass(frozen=True, slots=True)
class Losses:
    """The associations that were lost while one instance was sent."""

    count: int
    first: float  # POSIX time
    others_since: int  # deliveries of others after the first of them


class SentLog:
    """The log of one job and destination, held by the one sender that may write it."""

    def __init__(self, held: LockedFile, round_: int, whole_round: int) -> None:
        self._held = held
        self._is_open = self._holds = False
        self._halvings: int = 0
        self._follow = {
            ROUND: self._begin_round,
            WHOLE_ROUND: self._begin_whole_round,
            OPENED: self._open,
            RELEASED: self._release,
            COMMITTED: self._commit,
            MISSING: self._miss,
        }
        self.final: dict[str, Sent] = {}
        self.committed: set[str] = set()
        self._may_be_there: set[str] = set()  # at the destination, whatever counts
        self._round = 0
        self.whole_round = 0  # what was said of earlier ones is of no account
        self._forget_round(time.time())
        self._read()
        if self._round < whole_round:
            self._begin_whole_round(self._write(WHOLE_ROUND, f"{whole_round:04}", ""))
        if self._round < round_:
            self._begin_round(self._write(ROUND, f"{round_:04}", ""))

    @classmethod
    def of(cls, folder: JobFolder, job: Job, destination: str) -> "SentLog | None":
        """The log in the job's round or a later one, or None while another sender has it."""
        round_ = job.rounds.get(destination, 0)
        whole_round = job.whole_rounds.get(destination, 0)
        return cls.try_open(folder.sent_log(destination), round_, whole_round)

    @classmethod
    def try_open(cls, path: Path, round_: int = 0, whole_round: int = 0) -> "SentLog | None":
        """As `of`."""
        held = LockedFile.try_lock(path)
        if held is None:
            return None
        with ExitStack() as unless_read:  # or this process would keep it from every later sender
            unless_read.enter_context(held)
            log = cls(held, round_, whole_round)
            unless_read.pop_all()
        return log

    def opened(self, *, held: bool) -> None:
        """An association is established; `held`: what it delivers is final at `released`."""
        self._open(self._write(OPENED, HELD if held else NO_STATUS, ""))

    def released(self) -> None:
        self._release(self._write(RELEASED, NO_STATUS, ""))

    def lost(self) -> None:
        """The association was not released. No line says so: the want of one does."""
        if self._is_open:
            self._halvings = min(self._halvings + self._holds, _SHORTEST)
        self._held_back.clear()
        self._is_open = False

    def record(self, file: str, verdict: Verdict, status: int | None) -> None:
        """Appends what became of an instance; `file` is relative to the folder that is sent."""
        self._take(self._write(verdict.name, _hexadecimal(status), file))

    def commit(self, file: str) -> None:
        """The destination keeps the instance, and says so."""
        self._commit(self._write(COMMITTED, NO_STATUS, file))

    def miss(self, file: str, failure_reason: int | None) -> None:
        """The destination does not commit to the instance, whatever it has answered to it.

        It is owed again if that can help.
        """
        self._miss(self._write(MISSING, _hexadecimal(failure_reason), file))

    def answers(self, file: str, status: int | None) -> int:
        """How often a file was answered with a status so far."""
        return self._answers[file, status]

    def was_sent(self, file: str) -> bool:
        """Whether the destination may have it from an earlier association."""
        return file in self._may_be_there

    def losses(self, file: str) -> Losses | None:
        if not (times := self._losses.get(file)):
            return None
        return Losses(len(times), times[0][0], self._delivered - times[0][1])

    def longest(self, owed: int) -> int:
        """How many of what is owed the next association is to carry.

        All, but half as many after each lost association, and twice as many after each released
        one: where a line breaks every minute, something must become final within the minute.
        """
        return max(1, owed >> self._halvings)

    def count(self, *verdicts: Verdict) -> int:
        """How many instances ended so; those among them that count at the release only, too."""
        ends = [*self.final.values(), *self._held_back.values()]
        return sum(1 for sent in ends if sent.verdict in verdicts)

    def statuses(self, verdicts: Collection[Verdict]) -> Counter[Sent]:
        """How often each end is among those of these kinds."""
        return Counter(sent for sent in self.final.values() if sent.verdict in verdicts)

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
            self._follow.get(line.word, self._take)(line)
        self.lost()

    def _begin_round(self, line: SentLine) -> None:
        self._round = int(line.status)
        self._forget_round(line.at)
        self.final = {file: sent for file, sent in self.final.items() if sent.verdict not in FAILED}

    def _begin_whole_round(self, line: SentLine) -> None:
        self._begin_round(line)
        self.whole_round = self._round
        self.final.clear()
        self.committed.clear()

    def _forget_round(self, at: float) -> None:
        self.begun = at
        self._is_open = self._holds = False
        self._halvings, self._delivered = 0, 0
        self._held_back: dict[str, Sent] = {}  # final once the association is released
        self._answers: Counter[tuple[str, int | None]] = Counter()
        self._losses: dict[str, list[tuple[float, int]]] = {}  # when, after how many deliveries
        self.missing: dict[str, int | None] = {}  # with the Failure Reason it was told of last

    def _open(self, line: SentLine) -> None:
        self.lost()
        self._is_open, self._holds = True, line.status == HELD

    def _release(self, line: SentLine) -> None:
        self.final |= self._held_back
        self._held_back.clear()
        self._halvings = max(0, self._halvings - 1)
        self._is_open = False

    def _commit(self, line: SentLine) -> None:
        self.committed.add(line.file)
        self.missing.pop(line.file, None)

    def _miss(self, line: SentLine) -> None:
        self.committed.discard(line.file)
        self.missing[line.file] = reason = _status(line)
        if cure(reason) is Cure.SEND:
            self.final.pop(line.file, None)

    def _take(self, line: SentLine) -> None:
        verdict = Verdict[line.word]
        status = _status(line)
        self._answers[line.file, status] += 1
        if verdict in DELIVERED or verdict is Verdict.LOST:
            self._may_be_there.add(line.file)
        if verdict is Verdict.LOST:
            self._losses.setdefault(line.file, []).append((line.at, self._delivered))
        if verdict in DELIVERED:
            self._delivered += 1
            (self._held_back if self._holds else self.final)[line.file] = Sent(verdict, status)
        elif verdict in FAILED:
            self.final[line.file] = Sent(verdict, status)

    def _write(self, word: str, status: str, file: str) -> SentLine:
        line = SentLine(time.time(), word, status, file)
        encoded = line.encode()
        if os.write(self._held.descriptor, encoded) != len(encoded):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return line


def _status(line: SentLine) -> int | None:
    return None if line.status == NO_STATUS else int(line.status, 16)


def _hexadecimal(status: int | None) -> str:
    return NO_STATUS if status is None else f"{status:04X}"
