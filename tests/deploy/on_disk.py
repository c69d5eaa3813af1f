"""What a command has done, as the storage of the folder it ran in has it."""

from pathlib import Path

from shared.job import Job
from shared.job_folder import JobFolder
from shared.tree import StorageTree


def on_disk(job_id: str) -> Job:
    return JobFolder(StorageTree(Path("storage")), job_id).read()
