"""The input of one attempt: its own folder, so that no program gets at the job's."""

import shutil
from typing import Literal

from shared.job_folder import Attempt, JobFolder
from shared.trash import unlink


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
