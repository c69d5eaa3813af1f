"""`attempts/<n>/result.json`: the instances of a result as they were when it was made.

What is exported is this list: a file that has gone, or is not what it was, is not sent.
"""

from collections.abc import Iterator
from pathlib import Path

from shared.delivery import Record
from shared.job import Job, Result
from shared.job_folder import JobFolder
from shared.result_files import result_instances
from shared.stored_file import StoredFile
from workers.dispatching.plan import PLAN_FILE, Plan, PlannedInstance

_FILE = "result.json"


class ResultManifest(Record):
    instances: tuple[StoredFile, ...]


def read_manifest(folder: JobFolder, result: Result) -> ResultManifest | None:
    """None for a result of an older version.

    Raises:
        pydantic.ValidationError: it is damaged.
    """
    try:
        return ResultManifest.model_validate_json(_path(folder, result).read_bytes())
    except FileNotFoundError:
        return None


def write_manifest(folder: JobFolder, job: Job, result: Result) -> None:
    """
    Raises:
        OSError: an instance, or the plan of its delivery, cannot be read.
        pydantic.ValidationError: a plan is damaged.
    """
    results = folder.path / result.folder
    names = [str(path.relative_to(results)) for path in result_instances(results)]
    if results == folder.input:
        stored = tuple(_planned(folder, job, names))
    else:
        stored = tuple(StoredFile.of(results / name, name) for name in names)
    _path(folder, result).parent.mkdir(parents=True, exist_ok=True)
    ResultManifest(instances=stored).write(_path(folder, result))


def _planned(folder: JobFolder, job: Job, names: list[str]) -> Iterator[StoredFile]:
    """The input as the plans of its deliveries have it: who wrote to it since is found out."""
    by_inode: dict[int, PlannedInstance] = {}
    for delivery_id in job.deliveries:
        delivery = folder.deliveries / delivery_id
        plan = Plan.model_validate_json((delivery / PLAN_FILE).read_bytes())
        for planned in plan.instances:
            by_inode[(delivery / planned.file).stat().st_ino] = planned
    for name in names:
        path = folder.input / name
        known = by_inode.get(path.stat().st_ino)
        if known is None or known.size is None or known.modified is None:
            yield StoredFile.of(path, name)
        else:
            yield StoredFile(
                name=name, size=known.size, modified=known.modified, sha256=known.sha256
            )


def _path(folder: JobFolder, result: Result) -> Path:
    return folder.path / "attempts" / str(result.attempt) / _FILE
