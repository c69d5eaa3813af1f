"""An attempt that an engine elsewhere works on: what the disk knows of it.

`attempts/<n>/handed-over.json` is there before the engine is called, and `answer.json` once it is
known how the attempt ended. The first answer stands.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared import durable
from shared.delivery import Record
from shared.job import Job
from shared.job_folder import Attempt, JobFolder
from shared.mirror import MUST_NOT_RUN
from shared.registry.step import Run
from shared.tree import StorageTree

HANDED_OVER_FILE = "handed-over.json"
ANSWER_FILE = "answer.json"


class Handover(Record):
    """`handed-over.json`."""

    run: Run  # as which the gate knows it
    begun: datetime
    deadline: datetime
    token_sha256: str
    token: str = ""  # while it is needed: each call must say the same, and who is told to stop
    is_taken: bool = False  # the engine is known to have it

    @property
    def seconds_left(self) -> float:
        return (self.deadline - datetime.now(UTC)).total_seconds()

    def knows(self, token: str) -> bool:
        return hmac.compare_digest(self.token_sha256, _hash(token))


class Told(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRY = "failed, and may be tried again"
    OVERDUE = "given up, because its deadline passed"


class Answer(Record):
    """`answer.json`. The message is the engine's own words, which may hold anything."""

    told: Told
    message: str = ""
    at: datetime
    who: str
    carried_out: bool = False  # the job's record and the gate know of it


class EngineAttempt:
    """An attempt for which an engine was, or may have been, called."""

    def __init__(self, folder: JobFolder, attempt: Attempt) -> None:
        self.folder = folder
        self.attempt = attempt
        self._handed_over = attempt.path / HANDED_OVER_FILE
        self._answered = attempt.path / ANSWER_FILE
        self._told_to_stop = attempt.path / "told-to-stop"

    @classmethod
    def all(cls, folder: JobFolder) -> "list[EngineAttempt]":
        """Those of a job, the oldest first."""
        found = (cls(folder, attempt) for attempt in folder.all_attempts())
        return [each for each in found if each.was_begun]

    @classmethod
    def latest(cls, folder: JobFolder, job: Job) -> "EngineAttempt | None":
        """The newest attempt that no person has forgiven, if it is one of these."""
        newest = folder.counted_attempts()[job.attempts_forgiven :][-1:]
        return next((each for each in (cls(folder, one) for one in newest) if each.was_begun), None)

    @property
    def was_begun(self) -> bool:
        return self._handed_over.exists()

    @property
    def handover(self) -> Handover:
        return Handover.model_validate_json(self._handed_over.read_bytes())

    @property
    def answer(self) -> Answer | None:
        try:
            return Answer.model_validate_json(self._answered.read_bytes())
        except FileNotFoundError:
            return None

    def begin_call(self, run: Run, deadline: float) -> str:
        """Before the engine is called, for the first time or again; the attempt's token.

        Args:
            deadline: seconds that the engine has to take it.
        """
        if self.was_begun:
            known = self.handover.model_copy(update={"run": run})
        else:
            token, now = secrets.token_urlsafe(24), datetime.now(UTC)
            known = Handover(
                run=run,
                begun=now,
                deadline=now + timedelta(seconds=deadline),
                token_sha256=_hash(token),
                token=token,
            )
        self._write(known)
        return known.token

    def taken(self, run: Run, deadline: float, *, keep_token: bool) -> None:
        """The engine has it, and `deadline` seconds from now to tell how it ended."""
        known = self.handover
        update = {
            "run": run,
            "is_taken": True,
            "token": known.token if keep_token else "",
            "deadline": datetime.now(UTC) + timedelta(seconds=deadline),
        }
        self._write(known.model_copy(update=update))

    def still_taken(self, run: Run) -> None:
        """It goes on as another run of its step."""
        self._write(self.handover.model_copy(update={"run": run}))

    def given_up(self, who: str) -> Answer | None:
        """Once its deadline is over, and nobody has told before; else None."""
        if self.handover.seconds_left > 0:
            return None
        with self.folder.lock():
            return self.tell(Answer(told=Told.OVERDUE, at=datetime.now(UTC), who=who))

    def tell(self, answer: Answer) -> Answer:
        """Writes an answer, unless there is one; the one that stands. Hold the folder's lock."""
        if (first := self.answer) is not None:
            return first
        answer.write(self._answered)
        return answer

    def withdraw(self) -> None:
        """It is over by a person's word, unless its engine has told, or the job goes on again."""
        with self.folder.lock():
            if self.answer is None and self.folder.read().state in MUST_NOT_RUN:
                self.attempt.withdraw()

    @property
    def works_for_nothing(self) -> bool:
        """Whether it is over without its engine's word, and the engine has not been told so."""
        if self._told_to_stop.exists():
            return False
        answer = self.answer
        overdue = answer is not None and answer.told is Told.OVERDUE
        return overdue or self.attempt.is_withdrawn

    def told_to_stop(self) -> None:
        self._told_to_stop.touch()

    def carried_out(self) -> None:
        """Nobody has to do it again."""
        if (answer := self.answer) is not None:
            answer.model_copy(update={"carried_out": True}).write(self._answered)

    def _write(self, known: Handover) -> None:
        # Only for us: who has the token may say how the attempt ended.
        durable.write_file(self._handed_over, known.model_dump_json(indent=1).encode(), 0o600)


def engines_work(tree: StorageTree) -> bool:
    """Whether an engine may be at work: it has an attempt, has not told, and still has time."""
    for each in _all_handed_over(tree):
        if each.answer is None and not each.attempt.is_withdrawn:
            known = each.handover
            if known.is_taken and known.seconds_left > 0:
                return True
    return False


def _all_handed_over(tree: StorageTree) -> Iterator[EngineAttempt]:
    for path in tree.jobs.glob(f"*/attempts/*/{HANDED_OVER_FILE}"):
        if path.parent.name.isdigit():
            attempt = Attempt(int(path.parent.name), path.parent)
            yield EngineAttempt(JobFolder(tree, path.parents[2].name), attempt)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
