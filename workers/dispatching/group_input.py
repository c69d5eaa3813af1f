"""The input of a job of several deliveries: the instances of its group, each once."""

import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError

from shared.delivery import Instance, instance_file_name, read_delivery
from shared.durable import sync_directory
from shared.job import Job
from shared.job_folder import JobFolder
from shared.part10 import NotPart10Error, read_file_meta
from shared.same_bytes import same_from
from shared.tree import StorageTree
from workers.dispatching.groups import Gathered
from workers.dispatching.plan import PLAN_FILE, Plan


class UnreadableDeliveryError(Exception):
    """A delivery of the group is not there any more, or not whole; its id."""


def gatherer(tree: StorageTree) -> Callable[[Job], Gathered]:
    """A function that fills the input of a job; for jobs that may share deliveries.

    Of one data set that came several times the first stays; a different one under the same SOP
    Instance UID gets a number. What an earlier call left is made anew.

    The function raises:
        UnreadableDeliveryError: for good.
        OSError: the storage is away or full.
    """

    @functools.cache
    def read(delivery_id: str) -> tuple[Plan, dict[str, Instance]]:
        folder = tree.deliveries / delivery_id
        try:
            plan = Plan.model_validate_json((folder / PLAN_FILE).read_bytes())
            return plan, {each.file: each for each in read_delivery(folder).instances}
        except (FileNotFoundError, ValidationError) as error:
            raise UnreadableDeliveryError(delivery_id) from error

    def instances(job: Job) -> Iterator[tuple[Path, Instance]]:
        assert job.group is not None
        for delivery_id in job.deliveries:
            plan, by_file = read(delivery_id)
            for file in plan.files_for(job.group.key):
                yield tree.deliveries / delivery_id / file, by_file[file]

    def gather(job: Job) -> Gathered:
        folder = _Input(JobFolder(tree, job.id).input)
        for path, instance in instances(job):
            try:
                folder.add(path, instance)
            except (FileNotFoundError, NotPart10Error) as error:
                raise UnreadableDeliveryError(path.parent.name) from error
        return folder.finish()

    return gather


class _Input:
    """The folder that is filled; new, whatever was there before."""

    def __init__(self, folder: Path) -> None:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=0o750)
        self._folder = folder
        self._names: set[str] = set()
        self._by_uid: dict[str, list[Path]] = {}
        self._size = 0

    def add(self, path: Path, instance: Instance) -> None:
        namesakes = self._by_uid.setdefault(instance.sop_instance_uid, [])
        if any(_same_data_set(path, other) for other in namesakes):
            return
        name = instance_file_name(instance.sop_instance_uid, self._names)
        (self._folder / name).hardlink_to(path)
        namesakes.append(path)
        self._names.add(name)
        self._size += instance.size

    def finish(self) -> Gathered:
        sync_directory(self._folder)
        return Gathered(len(self._names), self._size)


def _same_data_set(first: Path, second: Path) -> bool:
    """As the receiver judges within an association: what stands in the head does not matter."""
    one, other = read_file_meta(first), read_file_meta(second)
    return one.transfer_syntax_uid == other.transfer_syntax_uid and same_from(
        first, one.data_set_offset, second, other.data_set_offset
    )
