"""What could not be dispatched: `quarantine/` as a person sees it, and what a person does about it.

Every act is one rename in the end: it has happened or it has not, whoever else acts, and however
often it is asked for.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from shared import durable
from shared.decision import RefusedError, deciding, find, find_undecided
from shared.delivery import DELIVERY_FILE, Delivery, read_delivery
from shared.quarantine import QUARANTINE_FILE, read_quarantined
from shared.settings import Settings
from shared.settings.sections import Storage
from shared.tree import StorageTree, ids_in
from workers.context import WorkerContext
from workers.dispatching.plan import PLAN_FILE, Plan
from workers.keeping.recommit import announce, whole_instances

_UNREADABLE = f"its {DELIVERY_FILE} cannot be read"


@dataclass(frozen=True, slots=True)
class QuarantinedDelivery:
    id: str
    reason: str
    since: datetime | None  # None: nobody wrote it down
    delivery: Delivery | None  # None: its record is missing or damaged
    objection: str  # why it could not be released now as it is; empty where it could
    remove_at: datetime | None  # None: not by itself


@dataclass(frozen=True, slots=True)
class Released:
    id: str
    ae_title: str
    instances: int
    announced: bool  # False: Redis is away, and a worker finds it by itself


def list_quarantine(tree: StorageTree, settings: Settings) -> list[QuarantinedDelivery]:
    """Oldest first."""
    return [_view(tree.quarantine / name, settings) for name in ids_in(tree.quarantine)]


def show_quarantined(tree: StorageTree, settings: Settings, id_or_part: str) -> QuarantinedDelivery:
    """
    Raises:
        UnknownDeliveryError: none, or several.
    """
    return _view(find(tree.quarantine, id_or_part), settings)


def removal_time(folder: Path, storage: Storage) -> datetime | None:
    """When housekeeping removes a delivery in quarantine; None: never by itself."""
    found = read_quarantined(folder)
    if found is None or storage.quarantine_retention is None:
        return None
    return found.when + timedelta(seconds=storage.quarantine_retention)


def release(context: WorkerContext, id_or_part: str, ae_title: str | None = None) -> Released:
    """Sends a delivery through dispatch again, as one of `ae_title` if that is given.

    Raises:
        DecidedAlreadyError: it was done before.
        UnknownDeliveryError: none, or several.
        RefusedError: the reason still stands, or somebody else acts.
        redis.RedisError: Redis is away; nothing was changed.
        OSError: the storage failed.
    """
    tree, settings = context.tree, context.settings
    folder = find_undecided(tree, tree.quarantine, id_or_part)
    with deciding(folder):
        delivery = _read(folder)
        if delivery is None:
            raise RefusedError(f"{folder.name}: {_UNREADABLE}")
        if objection := _objection(folder, delivery, settings, ae_title):
            raise RefusedError(f"{folder.name}: {objection}")
        # Its dispatch has ended, and would be taken for done.
        if not context.gate.forget(delivery.id):
            raise RefusedError(f"{folder.name}: a worker is at it; try again in a moment")
        # With the revision of today, workers whose settings are older read them again.
        changes = {
            "ae_title": ae_title or delivery.ae_title,
            "settings_revision": settings.revision,
        }
        released = delivery.model_copy(update=changes)
        released.write(folder / DELIVERY_FILE)
        (folder / QUARANTINE_FILE).unlink(missing_ok=True)
        durable.move(folder, tree.committed / folder.name)
    announced = announce(context, folder.name)
    return Released(folder.name, released.ae_title, len(released.instances), announced)


def _view(folder: Path, settings: Settings) -> QuarantinedDelivery:
    found, delivery = read_quarantined(folder), _read(folder)
    objection = _objection(folder, delivery, settings) if delivery else _UNREADABLE
    return QuarantinedDelivery(
        id=folder.name,
        reason=found.reason if found else objection or "not written down; it can be released",
        since=found.when if found else None,
        delivery=delivery,
        objection=objection,
        remove_at=removal_time(folder, settings.storage),
    )


def _read(folder: Path) -> Delivery | None:
    try:
        return read_delivery(folder)
    except (FileNotFoundError, ValidationError):
        return None


def _objection(
    folder: Path, delivery: Delivery, settings: Settings, ae_title: str | None = None
) -> str:
    """Why it cannot be released; empty where it can."""
    if delivery.id != folder.name:
        return _UNREADABLE
    title = ae_title or delivery.ae_title
    if settings.ae_title(title) is None:
        return f"the AE title {title!r} is not in the settings"
    damaged = len(delivery.instances) - len(whole_instances(folder, delivery.instances))
    if damaged:
        return f"{damaged} of its {len(delivery.instances)} files are missing or not whole"
    return _objection_of_plan(folder, title)


def _objection_of_plan(folder: Path, title: str) -> str:
    """An earlier dispatch has decided its jobs, and may have begun them."""
    try:
        plan = Plan.model_validate_json((folder / PLAN_FILE).read_bytes())
    except FileNotFoundError:
        return ""
    except ValidationError:
        return f"its {PLAN_FILE} cannot be read"
    if any(job.ae_title != title for job in plan.jobs):
        return f"it was dispatched before for {plan.jobs[0].ae_title!r}"
    return ""
