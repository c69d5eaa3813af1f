"""Whether a job's input is still what was received."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from shared.job import Job
from shared.job_folder import JobFolder
from workers.dispatching.plan import PLAN_FILE, Plan


def changed_instances(folder: JobFolder, job: Job) -> int:
    """How many of the job's instances are not any more as they were received.

    Its input is links to the files of its deliveries. A file that is not one of these, or was
    written to since their plan was made, is compared with the SHA-256 of the plan.
    """
    planned = dict(_planned(folder, job))
    found = [(path, path.stat()) for path in folder.input.iterdir()]
    suspects = [path for path, stat in found if stat.st_mtime_ns > planned.get(stat.st_ino, 0)]
    received = _received(folder, job) if suspects else set()
    changed = sum(_digest(path) not in received for path in suspects)
    return changed + max(0, job.instances - len(found))


def _planned(folder: JobFolder, job: Job) -> Iterator[tuple[int, int]]:
    """The inode of each file of the job's deliveries, and when it was known what is in it (ns)."""
    for delivery in job.deliveries:
        known = (folder.deliveries / delivery / PLAN_FILE).stat().st_mtime_ns
        for entry in os.scandir(folder.deliveries / delivery):
            yield entry.inode(), known


def _received(folder: JobFolder, job: Job) -> set[str]:
    """The SHA-256 of all that came with the job's deliveries."""
    plans = (folder.deliveries / delivery / PLAN_FILE for delivery in job.deliveries)
    found = (Plan.model_validate_json(plan.read_bytes()) for plan in plans)
    return {instance.sha256 for plan in found for instance in plan.instances}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
