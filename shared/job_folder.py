"""A job's folder: `jobs/<id>/` with its input, its attempts and what is done already."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from shared.durable import sync_directory
from shared.job import STATE_FILE, Job
from shared.job_state import FINISHED
from shared.locked_file import LockedFile
from shared.trash import unlink
from shared.tree import StorageTree

_INTERRUPTED = "interrupted"  # suffix of an attempt that its own worker gave up: no attempt
_NOT_NOW = "not-now"  # suffix of one that is to be made later: no attempt either
RUNNING, ENDED = "running", "ended"  # a mark in an attempt's folder; it keeps its time
_WITHDRAWN = "withdrawn"  # another mark: an engine may be at work in it, and it counts for none


class JobFolder:
    """Reading is free; `update` is one change at a time over all processes."""

    def __init__(self, tree: StorageTree, job_id: str) -> None:
        self.id = job_id
        self.path = tree.jobs / job_id
        self.input = self.path / "input"
        self.deliveries = tree.deliveries

    def create(self, job: Job, source: Path, files: Iterable[str]) -> None:
        """Makes the folder whole, however far an earlier call came; then `state.json`, once."""
        self.input.mkdir(mode=0o750, parents=True, exist_ok=True)
        for name in files:
            with contextlib.suppress(FileExistsError):
                (self.input / name).hardlink_to(source / name)
        sync_directory(self.input)
        self.create_empty(job)

    def create_empty(self, job: Job) -> None:
        """Makes `state.json`, once, of a job whose input is yet to come."""
        self.path.mkdir(mode=0o750, exist_ok=True)
        if not self.exists():
            job.write(self.path / STATE_FILE)
            sync_directory(self.path.parent)

    def exists(self) -> bool:
        """Whether there is a job, readable or not."""
        return (self.path / STATE_FILE).exists()

    def read(self) -> Job:
        """
        Raises:
            FileNotFoundError: there is no such job, or not yet.
        """
        return Job.model_validate_json((self.path / STATE_FILE).read_bytes())

    def written(self) -> int:
        """When `state.json` was written last (ns).

        Raises:
            FileNotFoundError: there is no such job, or not yet.
        """
        return (self.path / STATE_FILE).stat().st_mtime_ns

    def lock(self) -> LockedFile:
        """Whoever holds it may change `state.json`, or take the folder away; held for moments.

        Raises:
            FileNotFoundError: there is no such job.
        """
        return LockedFile.lock(self.path / "state.lock")

    def is_at_work(self) -> bool:
        """Whether an attempt, a child that it left or a sender is alive on any machine."""
        return any(_is_locked(path) for path in self._work_locks())

    def _work_locks(self) -> Iterator[Path]:
        yield from self.path.glob("run.lock")
        yield from self.path.glob("sent-*.log")

    def sent_log(self, destination: str) -> Path:
        """What was sent there; locked by the sender that is at it."""
        return self.path / f"sent-{destination}.log"

    def is_sent_to(self, destination: str) -> bool:
        """Whether a sender is at it on any machine."""
        return _is_locked(self.sent_log(destination))

    def update(self, change: Callable[[Job], Job]) -> Job:
        """Applies a change to `state.json`, one at a time; a job that it finishes is dated."""
        with self.lock():
            old = self.read()
            new = change(old)
            if new.state in FINISHED and new.ended is None:
                new = new.model_copy(update={"ended": datetime.now(UTC)})
            if new != old:
                new.write(self.path / STATE_FILE)
            return new

    def try_run_lock(self) -> LockedFile | None:
        """The right to run the pipeline: held by a live attempt and by the children it left."""
        return LockedFile.try_lock(self.path / "run.lock")

    def try_worker_lock(self) -> LockedFile | None:
        """Held by the worker of a live attempt, and by none of its children."""
        return LockedFile.try_lock(self.path / "worker.lock")

    def attempts(self) -> int:
        """How many attempts count so far."""
        return len(self.counted_attempts())

    def counted_attempts(self) -> "list[Attempt]":
        """The attempts that count, the oldest first."""
        return [attempt for attempt in self.all_attempts() if not attempt.is_withdrawn]

    def all_attempts(self) -> "list[Attempt]":
        """Those that count, and those that a person ended while an engine had them."""
        numbers = sorted(int(name) for name in self._attempt_names() if name.isdigit())
        return [self._attempt(number) for number in numbers]

    def new_attempt(self) -> "Attempt":
        """A fresh folder for the next attempt."""
        taken = [int(name.partition(".")[0]) for name in self._attempt_names()]
        attempt = self._attempt(max(taken, default=0) + 1)
        try:
            attempt.output.mkdir(mode=0o750, parents=True)
            attempt.work.mkdir(mode=0o750)
        except OSError:
            unlink(attempt.path)  # made by half, it would count
            raise
        return attempt

    def uncount(self, attempt: "Attempt") -> None:
        """An attempt that was stopped by us and not by a fault of its own."""
        attempt.path.rename(attempt.path.with_suffix(f".{_INTERRUPTED}"))

    def put_off(self, attempt: "Attempt") -> None:
        """An attempt that is to be made later; of these, which may be many, only one is kept."""
        for earlier in (self.path / "attempts").glob(f"*.{_NOT_NOW}"):
            unlink(earlier)
        attempt.path.rename(attempt.path.with_suffix(f".{_NOT_NOW}"))

    def running_attempts(self) -> list["Attempt"]:
        """Those that nobody has seen end."""
        marks = sorted((self.path / "attempts").glob(f"*/{RUNNING}"))
        return [Attempt(int(mark.parent.name.partition(".")[0]), mark.parent) for mark in marks]

    def _attempt(self, number: int) -> "Attempt":
        return Attempt(number, self.path / "attempts" / str(number))

    def _attempt_names(self) -> list[str]:
        try:
            return [path.name for path in (self.path / "attempts").iterdir()]
        except FileNotFoundError:
            return []


class Attempt:
    """One run of a pipeline; it writes here and nowhere else."""

    def __init__(self, number: int, path: Path) -> None:
        self.number = number
        self.path = path
        self.input = path / "input"  # only while it runs
        self.output = path / "output"
        self.work = path / "work"
        self.printed = self.work / "output.log"  # may hold what it was given

    def begin(self) -> None:
        """From now until `end`, somebody may have to end what it started."""
        (self.path / RUNNING).touch()

    def end(self) -> None:
        (self.path / RUNNING).rename(self.path / ENDED)

    def withdraw(self) -> None:
        """From now on it counts for none."""
        (self.path / _WITHDRAWN).touch()

    @property
    def is_withdrawn(self) -> bool:
        return (self.path / _WITHDRAWN).exists()

    def empty(self) -> None:
        """Makes room: what it wrote is gone, but for what it printed."""
        for path in (*self.output.iterdir(), *self.work.iterdir()):
            if path != self.printed:
                unlink(path)


def _is_locked(path: Path) -> bool:
    held = LockedFile.try_lock(path)
    if held is None:
        return True
    held.close()
    return False
