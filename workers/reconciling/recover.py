"""`penstock recover`: what the reconciler does over time, at once; and what Redis alone has, goes.

For when Redis was lost, or came back from an old backup. The disk decides. Workers and receivers
may run meanwhile, and it may be cut short and done again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from shared.job_folder import JobFolder
from shared.job_state import JobState
from shared.tree import ids_in
from workers.advance import advance
from workers.context import WorkerContext
from workers.dispatching.dispatched import is_dispatched
from workers.reconciling.catch_up import catch_up
from workers.reconciling.reconciler import submit_dispatch

_AT_ONCE = 1000

# What Redis may know better: that a job's pipeline runs.
_SAME = {JobState.QUEUED: {JobState.QUEUED, JobState.RUNNING}}

Progress = Callable[[str, int, int], None]  # what is looked at, how many so far, of how many


@dataclass(slots=True)
class Recovered:
    jobs: int = 0  # on disk
    made: int = 0  # of these, those that had no record
    corrected: int = 0  # whose record said something else than the disk
    removed: int = 0  # records of jobs whose folder is gone
    forgotten: int = 0  # steps of jobs and deliveries that are gone
    deliveries: int = 0  # waiting for their dispatch
    damaged: list[str] = field(default_factory=list)  # folders whose record cannot be read


class StorageAwayError(Exception):
    """There is no storage tree here: a recovery would take everything for gone."""


def recover(context: WorkerContext, progress: Progress = lambda *_: None) -> Recovered:
    """Makes Redis hold what the disk has.

    Raises:
        StorageAwayError: nothing was changed.
        redis.RedisError, OSError: Redis or the storage went away; to be called again.
    """
    tree = context.tree
    if not all(folder.is_dir() for folder in (tree.committed, tree.deliveries, tree.jobs)):
        raise StorageAwayError(str(tree.root))
    return _Recovery(context, progress).run()


class _Recovery:
    def __init__(self, context: WorkerContext, progress: Progress) -> None:
        self._context = context
        self._progress = progress
        self._found = Recovered()

    def run(self) -> Recovered:
        self._bring_jobs_back()
        self._bring_deliveries_back()
        self._drop_records()
        self._drop_steps()
        return self._found

    def _bring_jobs_back(self) -> None:
        ids = list(ids_in(self._context.tree.jobs))
        for some in self._told("jobs", ids):
            states = self._context.records.states(some)
            for job_id in some:
                try:
                    self._bring_job_back(job_id, states.get(job_id))
                except ValidationError:
                    self._found.damaged.append(f"jobs/{job_id}")

    def _bring_job_back(self, job_id: str, recorded: JobState | None) -> None:
        try:
            job = catch_up(self._context, JobFolder(self._context.tree, job_id))
        except FileNotFoundError:
            return  # it is being made, or has just been removed
        self._found.jobs += 1
        if recorded is None:
            self._found.made += 1
        elif recorded not in _same(job.state):
            self._correct(job_id)

    def _correct(self, job_id: str) -> None:
        """Where no legal move leads from the record to what the disk says, it is made anew."""
        folder = JobFolder(self._context.tree, job_id)
        with folder.lock():  # so that nobody moves the job on between reading and writing
            job = folder.read()
            recorded = self._context.records.states([job_id]).get(job_id)
            if recorded not in _same(job.state):
                self._context.records.remove(job_id)
                advance(self._context, job)
        self._found.corrected += 1

    def _bring_deliveries_back(self) -> None:
        tree = self._context.tree
        for parent in (tree.committed, tree.deliveries):
            ids = [n for n in ids_in(parent) if not is_dispatched(parent / n)]
            for some in self._told(f"{parent.name} deliveries", ids):
                for delivery_id in some:
                    self._bring_delivery_back(parent / delivery_id)

    def _bring_delivery_back(self, folder: Path) -> None:
        self._context.gate.forget_end(folder.name)
        try:
            submit_dispatch(self._context, folder.name)
        except ValidationError:
            self._found.damaged.append(f"{folder.parent.name}/{folder.name}")
        else:
            self._found.deliveries += 1

    def _drop_records(self) -> None:
        """A job's folder is there before its record: where it is not, the job is gone."""
        tree, records = self._context.tree, self._context.records
        for some in self._told("records", records.ids()):
            for job_id in some:
                if not (tree.jobs / job_id).exists():
                    records.remove(job_id)
                    self._found.removed += 1

    def _drop_steps(self) -> None:
        """A step of what is gone would be tried for ever. One that runs is left alone."""
        tree, gate = self._context.tree, self._context.gate
        places = (tree.committed, tree.deliveries, tree.quarantine)
        steps = gate.waiting()
        for some in self._told("steps", list(steps)):
            for step_id in some:
                job = steps[step_id]
                folders = [tree.jobs / job] if job else [each / step_id for each in places]
                if not any(folder.exists() for folder in folders) and gate.forget(step_id):
                    self._found.forgotten += 1

    def _told(self, what: str, ids: list[str]) -> Iterator[list[str]]:
        for start in range(0, len(ids), _AT_ONCE):
            yield (some := ids[start : start + _AT_ONCE])
            self._progress(what, start + len(some), len(ids))


def _same(state: JobState) -> set[JobState]:
    return _SAME.get(state, {state})
