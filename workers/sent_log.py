"""`sent-<destination>.log`: a line for each C-STORE response; a retry resends only the rest.

It is written as the responses come, before anything is told to Redis.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from shared.locked_file import LockedFile
from workers.store_status import Verdict

_FINAL = {Verdict.DELIVERED, Verdict.WARNING, Verdict.FAILED}


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one instance; a status of None is a failure without a response."""

    verdict: Verdict
    status: int | None


class SentLog:
    """The log of one job and destination, held by the one sender that may write it."""

    def __init__(self, held: LockedFile) -> None:
        self._held = held
        self.begun = time.time()
        self.final: dict[str, Sent] = {}
        self._read()

    @classmethod
    def try_open(cls, path: Path) -> "SentLog | None":
        """The log, or None while another sender has it."""
        held = LockedFile.try_lock(path)
        return None if held is None else cls(held)

    def record(self, file: str, verdict: Verdict, status: int | None) -> None:
        """Appends a response; `file` is relative to the folder that is exported."""
        self._write(verdict.name, "----" if status is None else f"{status:04X}", file)
        if verdict in _FINAL:
            self.final[file] = Sent(verdict, status)

    def count(self, verdict: Verdict) -> int:
        return sum(1 for sent in self.final.values() if sent.verdict is verdict)

    def close(self) -> None:
        self._held.close()

    def __enter__(self) -> "SentLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self) -> None:
        text = self._held.path.read_text()
        if not text:
            self._write("BEGUN", "----", "")
            return
        whole, _, torn = text.rpartition("\n")
        if torn:  # a crash in the middle of a line: that instance is sent again
            os.ftruncate(self._held.descriptor, len(whole.encode()) + 1)
        os.lseek(self._held.descriptor, 0, os.SEEK_END)
        lines = [line.split(" ", 3) for line in whole.splitlines()]
        self.begun = float(lines[0][0])
        for _, word, status, file in lines[1:]:
            verdict = Verdict[word]
            if verdict in _FINAL:
                self.final[file] = Sent(verdict, None if status == "----" else int(status, 16))

    def _write(self, word: str, status: str, file: str) -> None:
        line = f"{time.time():.3f} {word} {status} {file}\n"
        os.write(self._held.descriptor, line.encode())
