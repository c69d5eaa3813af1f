"""What was never released: `aborted/` as a person sees it, and what a person does about it.

Every act is one rename in the end: it has happened or it has not, whoever else acts, and however
often it is asked for.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from shared import durable
from shared.decision import RefusedError, deciding, find, find_undecided
from shared.delivery import ABORTED_FILE, DELIVERY_FILE, Delivery
from shared.settings.sections import Storage
from shared.tree import StorageTree, ids_in
from workers.context import WorkerContext
from workers.keeping.recommit import announce, not_whole, whole_instances


@dataclass(frozen=True, slots=True)
class AbortedDelivery:
    id: str
    delivery: Delivery | None  # None: its record is missing or damaged
    remove_at: datetime | None  # None: not by itself


@dataclass(frozen=True, slots=True)
class Committed:
    id: str
    instances: int
    left_out: int  # files of it that are not whole, and no instances
    announced: bool  # False: Redis is away, and a worker finds it by itself


def list_aborted(tree: StorageTree, storage: Storage) -> list[AbortedDelivery]:
    """Oldest first."""
    return [_view(tree.aborted / name, storage) for name in ids_in(tree.aborted)]


def show_aborted(tree: StorageTree, storage: Storage, id_or_part: str) -> AbortedDelivery:
    """
    Raises:
        UnknownDeliveryError: none, or several.
    """
    return _view(find(tree.aborted, id_or_part), storage)


def removal_time(delivery: Delivery, storage: Storage) -> datetime:
    """When housekeeping removes an aborted delivery."""
    return delivery.ended + timedelta(seconds=storage.aborted_retention)


def read_aborted(folder: Path) -> Delivery | None:
    """None if there is no record, or a damaged one: then a person has to decide."""
    try:
        return Delivery.model_validate_json((folder / ABORTED_FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def commit(context: WorkerContext, id_or_part: str) -> Committed:
    """Makes an aborted delivery a committed one, marked incomplete, and submits its dispatch.

    Raises:
        DecidedAlreadyError: it was done before.
        UnknownDeliveryError: none, or several.
        RefusedError: it has no readable record or no whole instance, or somebody else acts.
        OSError: the storage failed; it is as it was.
    """
    tree = context.tree
    folder = find_undecided(tree, tree.aborted, id_or_part)
    with deciding(folder):
        record = read_aborted(folder)
        if record is None:
            raise RefusedError(f"{folder.name}: its record cannot be read: what is whole?")
        instances = whole_instances(folder, record.instances)
        if not instances:
            raise RefusedError(f"{folder.name}: none of its instances is whole")
        left_out = len(not_whole(folder, record))
        for instance in instances:  # nobody has waited for these yet
            durable.sync_file(folder / instance.file)
        reason = f"{record.reason}; committed by hand".removeprefix("; ")
        committed = record.model_copy(
            update={"end": "aborted", "reason": reason, "instances": instances}
        )
        committed.write(folder / DELIVERY_FILE)
        durable.move(folder, tree.committed / folder.name)
    return Committed(folder.name, len(instances), left_out, announce(context, folder.name))


def _view(folder: Path, storage: Storage) -> AbortedDelivery:
    delivery = read_aborted(folder)
    remove_at = removal_time(delivery, storage) if delivery else None
    return AbortedDelivery(folder.name, delivery, remove_at)
