"""What the storage has of a job, for people to look at: nothing is locked, nothing is changed."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from shared.job import STATE_FILE, Job
from shared.job_folder import ENDED, RUNNING
from shared.result_files import result_files
from shared.sent_line import (
    BEGUN,
    HELD,
    NO_STATUS,
    OPENED,
    RELEASED,
    ROUND,
    WHOLE_ROUND,
    sent_lines,
    whole_lines,
)
from shared.tree import StorageTree

_SENT, _LOG = "sent-", ".log"
_DELIVERED = ("DELIVERED", "WARNING")
_LAST_WORDS, _LAST_LINES = 2000, 10  # bytes, lines of what a program printed


@dataclass(frozen=True, slots=True)
class ResultFile:
    name: str  # relative to the result's folder
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    name: str  # its number; one that was interrupted, and does not count, says so
    began: datetime
    output: Path  # what the program printed; may hold what it was given
    output_size: int  # bytes; 0 also where nothing is kept


@dataclass(frozen=True, slots=True)
class SentInstance:
    """What a destination last answered to an instance, or said of it."""

    file: str  # relative to the result's folder
    verdict: str  # delivered, warning, not confirmed, later, failed, ...; committed, missing
    status: str  # of the C-STORE response, in hexadecimal; empty where there was none
    at: datetime
    answers: int  # how many there were so far


@dataclass(frozen=True, slots=True)
class JobFiles:
    folder: Path
    result_folder: Path | None  # None before there is a result
    result: tuple[ResultFile, ...]
    attempts: tuple[AttemptFolder, ...]
    sent: dict[str, tuple[SentInstance, ...]]  # by destination; those that were answered
    damaged: tuple[str, ...]  # names of the job's records that say nothing any more
    deliveries: tuple[str, ...] = ()  # whose instances it has

    @property
    def result_size(self) -> int:
        return sum(file.size for file in self.result)


def read_job_files(tree: StorageTree, job_id: str) -> JobFiles | None:
    """None where the job's folder is not on this storage, or not ours to read.

    Raises:
        OSError: the storage cannot be read.
    """
    folder = tree.jobs / job_id
    try:
        state = (folder / STATE_FILE).read_bytes()
    except (FileNotFoundError, PermissionError):
        return None
    damaged = []
    result_folder: Path | None = None
    result: tuple[ResultFile, ...] = ()
    deliveries: tuple[str, ...] = ()
    try:
        job = Job.model_validate_json(state)
    except ValidationError:
        damaged.append(STATE_FILE)
    else:
        deliveries = job.deliveries
        if job.result is not None:
            result_folder = folder / job.result.folder
            result = tuple(_files(result_folder))
    sent = {}
    for log in sorted(folder.glob(f"{_SENT}*{_LOG}")):
        try:
            sent[log.name.removeprefix(_SENT).removesuffix(_LOG)] = _sent(log)
        except ValueError:
            damaged.append(log.name)
    attempts = tuple(_attempts(folder / "attempts"))
    return JobFiles(folder, result_folder, result, attempts, sent, tuple(damaged), deliveries)


def _files(folder: Path) -> Iterator[ResultFile]:
    for path in result_files(folder):
        yield ResultFile(str(path.relative_to(folder)), path.stat().st_size)


def _attempts(folder: Path) -> Iterator[AttemptFolder]:
    for path in sorted(folder.glob("[0-9]*"), key=lambda path: int(path.name.partition(".")[0])):
        output = path / "work" / "output.log"
        yield AttemptFolder(
            name=path.name,
            began=_time(_began(path)),
            output=output,
            output_size=output.stat().st_size if output.exists() else 0,
        )


def _began(folder: Path) -> float:
    """The mark of a program that runs or ran is as old as the run; other kinds add no entry."""
    marks = [folder / RUNNING, folder / ENDED]
    return next((mark for mark in marks if mark.exists()), folder).stat().st_mtime


def last_words(attempt: AttemptFolder) -> list[str]:
    """The end of what it printed, a line each. No part of `JobFiles`: it may hold patient data."""
    with attempt.output.open("rb") as file:
        file.seek(max(0, attempt.output_size - _LAST_WORDS))
        text = file.read(_LAST_WORDS).decode(errors="replace")
    return text.splitlines()[-_LAST_LINES:]


def _sent(path: Path) -> tuple[SentInstance, ...]:
    content = path.read_bytes()
    answers: Counter[str] = Counter()
    found: dict[str, SentInstance] = {}
    held: set[str] | None = None  # delivered in an association at whose release it counts
    for line in sent_lines(whole_lines(content)):
        if line.word in (BEGUN, ROUND, WHOLE_ROUND, OPENED, RELEASED):
            if held and line.word != RELEASED:
                found |= _unconfirmed(found, held)
            held = set() if line.word == OPENED and line.status == HELD else None
            continue
        answers[line.file] += 1
        found[line.file] = SentInstance(
            file=line.file,
            verdict=line.word.lower().replace("_", " "),
            status="" if line.status == NO_STATUS else line.status,
            at=_time(line.at),
            answers=answers[line.file],
        )
        if held is not None and line.word in _DELIVERED:
            held.add(line.file)
    return tuple((found | _unconfirmed(found, held or ())).values())


def _unconfirmed(found: dict[str, SentInstance], files: Collection[str]) -> dict[str, SentInstance]:
    return {file: replace(found[file], verdict="not confirmed") for file in files}


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
