"""The input of one attempt: its own folder, so that no program gets at the job's."""

import hashlib
import shutil
from pathlib import Path
from typing import Literal

from shared.job import Job
from shared.job_folder import Attempt, JobFolder
from shared.trash import unlink
from workers.plan import PLAN_FILE, Plan


def make_input(folder: JobFolder, attempt: Attempt, way: Literal["link", "copy"]) -> None:
    """Gives the attempt each of the job's instances, by a hard link or as a copy.

    Raises:
        OSError: the disk is full, or failed.
    """
    attempt.input.mkdir(mode=0o750)
    for path in folder.input.iterdir():
        if way == "link":
            (attempt.input / path.name).hardlink_to(path)
        else:
            shutil.copyfile(path, attempt.input / path.name)


def remove_input(attempt: Attempt) -> None:
    unlink(attempt.input)  # what a container has left there as its own goes with the job


def changed_instances(folder: JobFolder, job: Job) -> int:
    """How many of the job's instances are not any more as they were received.

    Their files are those of the delivery. One that was written to is newer than the folder with
    the links to them, and is compared with the SHA-256 of the plan.
    """
    linked = folder.input.stat().st_mtime_ns
    suspects = [path for path in folder.input.iterdir() if path.stat().st_mtime_ns > linked]
    if not suspects:
        return 0
    received = _received(folder, job)
    return sum(_digest(path) not in received for path in suspects)


def _received(folder: JobFolder, job: Job) -> set[str]:
    """The SHA-256 of all that came with the job's deliveries."""
    plans = (folder.deliveries / delivery / PLAN_FILE for delivery in job.deliveries)
    found = (Plan.model_validate_json(plan.read_bytes()) for plan in plans)
    return {instance.sha256 for plan in found for instance in plan.instances}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
