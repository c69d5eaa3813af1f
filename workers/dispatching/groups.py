"""The groups: which job takes in what comes next of a study or series, and when that ends.

`groups/<key>` lists the jobs of a group, the newest last; whether that one is open stands in its
`state.json`, with the deliveries that it has. Each change is one such write, under a lock.
"""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from shared.delivery import Record
from shared.ids import new_id
from shared.job import Job
from shared.job_folder import JobFolder
from shared.job_state import JobState
from shared.locked_file import LockedFile
from shared.tree import StorageTree


class _Jobs(Record):
    ids: tuple[str, ...] = ()


class Gathered(NamedTuple):
    """What a job's input holds."""

    instances: int
    size: int  # bytes


class Groups:
    def __init__(self, tree: StorageTree) -> None:
        self._tree = tree

    def join(self, key: str, planned: Job) -> Job:
        """The job that has these instances from now on: the open one of that group, or a new one.

        However often it is asked for one delivery, the answer is the first one's.
        """
        with self._lock(key):
            path = self._tree.groups / key
            ids = _read(path)
            jobs = [self._job(job_id) for job_id in ids]
            for job in jobs:
                if job and planned.delivery in job.deliveries:
                    return job
            now = datetime.now(UTC)
            if jobs and jobs[-1] is not None:
                job = self._update(
                    ids[-1], lambda job: job.joined_by(planned, now) if _takes_more(job) else job
                )
                if planned.delivery in job.deliveries:
                    return job
            # One that is listed without a state was about to be made by one who was killed.
            if not ids or JobFolder(self._tree, ids[-1]).exists():
                ids = (*ids, new_id())
                _Jobs(ids=ids).write(path)
            follows = ids[-2] if len(ids) > 1 else ""
            made = planned.opened(now).model_copy(update={"id": ids[-1], "follows": follows})
            JobFolder(self._tree, made.id).create_empty(made)
            return made

    def close(
        self, job: Job, now: datetime, *, arriving: bool, gather: Callable[[Job], Gathered]
    ) -> Job:
        """Closes the job's group if its time has come; the job as it is then.

        Raises:
            FileNotFoundError: there is no such job any more.
        """
        with self.lock(job):
            job = JobFolder(self._tree, job.id).read()
            if not job.may_close(now, arriving=arriving):
                return job
            made = gather(job)
            return self._update(
                job.id, lambda job: job.closed(now, *made) if _takes_more(job) else job
            )

    def forget(self, job: Job) -> None:
        """For a job that is about to be removed, under `lock`."""
        if job.group is None:
            return
        path = self._tree.groups / job.group.key
        ids = tuple(each for each in _read(path) if each != job.id)
        if ids:
            _Jobs(ids=ids).write(path)
        else:
            path.unlink(missing_ok=True)

    def lock(self, job: Job) -> contextlib.AbstractContextManager[object]:
        """The lock of the job's group, if it has one; to be taken before the job's own."""
        return self._lock(job.group.key) if job.group else contextlib.nullcontext()

    def _lock(self, key: str) -> LockedFile:
        """Shared by some groups, so that it may stay when they go."""
        return LockedFile.lock(self._tree.groups / f"{key[:2]}.lock")

    def _job(self, job_id: str) -> Job | None:
        with contextlib.suppress(FileNotFoundError, ValidationError):
            return JobFolder(self._tree, job_id).read()
        return None

    def _update(self, job_id: str, change: Callable[[Job], Job]) -> Job:
        return JobFolder(self._tree, job_id).update(change)


def _takes_more(job: Job) -> bool:
    return job.state is JobState.WAITING


def _read(path: Path) -> tuple[str, ...]:
    try:
        return _Jobs.model_validate_json(path.read_bytes()).ids
    except FileNotFoundError:
        return ()
