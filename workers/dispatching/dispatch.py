"""Dispatch: takes a committed delivery over and makes its jobs. May be run again at any point."""

import contextlib
from pathlib import Path

import structlog

from shared import durable
from shared.delivery import Delivery, read_delivery
from shared.job import Job
from shared.job_folder import JobFolder
from shared.locked_file import LockedFile
from shared.quarantine import quarantine
from shared.settings.receiving import AeTitleEntry
from workers.advance import advance
from workers.context import WorkerContext
from workers.dispatching.dispatched import (
    DISPATCHED_FILE,
    Dispatched,
    is_dispatched,
    read_dispatched,
)
from workers.dispatching.groups import Groups
from workers.dispatching.plan import PLAN_FILE, Plan, PlannedJob, make_plan
from workers.steps.lease import Lease
from workers.steps.outcome import Done, Outcome, TryAgain

log = structlog.get_logger()

_LOOK_AGAIN = 5.0  # seconds
_BUSY_DELAY = 2.0


def dispatch(context: WorkerContext, lease: Lease) -> Outcome:
    """The body of a dispatch step, whose id is the delivery's."""
    delivery_id = lease.run.step.id
    found = _find(context, delivery_id)
    if found is None:
        # Never a success: the storage may be away, or a receiver elsewhere not yet visible.
        return TryAgain(_LOOK_AGAIN, "the delivery is not on this storage")
    folder, delivery = found
    if folder.parent == context.tree.quarantine:
        return Done()
    entry = _ae_title(context, delivery)
    if entry is None:
        _quarantine(context, folder, f"its AE title {delivery.ae_title!r} is not in the settings")
        return Done()
    folder = _take_over(context, folder)
    lock = LockedFile.try_lock(folder / "dispatch.lock")
    if lock is None:
        return TryAgain(_BUSY_DELAY, "another dispatch of it is under way", counted=False)
    with lock:
        if is_dispatched(folder):
            _tell_again(context, folder)
            return Done()
        plan = _plan(context, folder, delivery, entry)
        if not plan.planned:
            _quarantine(context, folder, f"no pipeline of {delivery.ae_title!r} takes any of it")
            return Done()
        jobs = []
        for planned in plan.planned:
            lease.check()
            job = _make(context, planned, folder)
            advance(context, job, _what(job, planned.job, len(plan.instances)))
            jobs.append(job.id)
        Dispatched(jobs=tuple(jobs)).write(folder / DISPATCHED_FILE)
    log.info("delivery dispatched", delivery=delivery_id, jobs=jobs, left_out=plan.left_out)
    return Done()


def _tell_again(context: WorkerContext, folder: Path) -> None:
    """For an old word, come back with an old Redis: some of the jobs may have been removed."""
    for job_id in read_dispatched(folder).jobs:
        with contextlib.suppress(FileNotFoundError):
            advance(context, JobFolder(context.tree, job_id).read())


def _make(context: WorkerContext, planned: PlannedJob, folder: Path) -> Job:
    job = planned.job
    if job.group is not None:
        return Groups(context.tree).join(job.group.key, job)
    job_folder = JobFolder(context.tree, job.id)
    job_folder.create(job, folder, planned.files)
    return job_folder.read()


def _what(job: Job, planned: Job, delivered: int) -> str:
    """The line of history of what this delivery brings to a job."""
    of_all = "" if planned.instances == delivered else f" of {delivered}"
    instances = f"{planned.instances}{of_all} instances"
    what = f"dispatched, {instances}"
    if job.ungrouped:
        return f"{what} without a UID to be grouped by"
    if planned.delivery in job.joined:
        return f"joined by delivery {planned.delivery}, {instances}"
    return f"{what}, too late for {job.follows}" if job.follows else what


def _find(context: WorkerContext, delivery_id: str) -> tuple[Path, Delivery] | None:
    tree = context.tree
    # In the order in which it moves, so that one that moves now is found at its next place.
    for parent in (tree.committed, tree.deliveries, tree.quarantine):
        with contextlib.suppress(FileNotFoundError):
            return parent / delivery_id, read_delivery(parent / delivery_id)
    return None


def _ae_title(context: WorkerContext, delivery: Delivery) -> AeTitleEntry | None:
    return context.settings.ae_title(delivery.ae_title) or _newer_ae_title(context, delivery)


def _newer_ae_title(context: WorkerContext, delivery: Delivery) -> AeTitleEntry | None:
    """As the settings are now, where the delivery came under others than this worker has."""
    if delivery.settings_revision == context.settings.revision:
        return None
    context.live.reread()
    return context.settings.ae_title(delivery.ae_title)


def _quarantine(context: WorkerContext, folder: Path, reason: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # an earlier run of this step was here
        quarantine(context.tree, folder, reason)
    log.error("delivery quarantined", delivery=folder.name, reason=reason)


def _take_over(context: WorkerContext, folder: Path) -> Path:
    target = context.tree.deliveries / folder.name
    if folder != target:
        with contextlib.suppress(FileNotFoundError):  # an earlier run of this step was here
            durable.move(folder, target)
    return target


def _plan(context: WorkerContext, folder: Path, delivery: Delivery, entry: AeTitleEntry) -> Plan:
    path = folder / PLAN_FILE
    with contextlib.suppress(FileNotFoundError):
        return Plan.model_validate_json(path.read_bytes())
    plan = make_plan(delivery, entry, context.settings, folder)
    if not plan.planned and (newer := _newer_ae_title(context, delivery)):
        plan = make_plan(delivery, newer, context.settings, folder)
    if plan.planned:  # else it is judged anew when it comes out of quarantine
        plan.write(path)
    return plan
