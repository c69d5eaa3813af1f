"""What a receiver that died left in `incoming/`: nothing of it is lost, nothing dispatched."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import structlog
from pydantic import ValidationError

from shared import durable
from shared.delivery import (
    ABORTED_FILE,
    ASSOCIATION_FILE,
    DELIVERY_FILE,
    INSTANCE_SUFFIX,
    PARTIAL_SUFFIX,
    Association,
    Delivery,
    Instance,
)
from shared.locked_file import LockedFile
from shared.part10 import NotPart10Error, read_file_meta
from shared.quarantine import quarantine
from shared.trash import throw_away
from shared.tree import StorageTree, ids_in

log = structlog.get_logger()

ALIVE_FILE = "alive"
_DIED_COMMITTING = "the receiver died while it committed this; its sender was told nothing"
_NO_RECORD = "the receiver died, and its record of who sent this cannot be read"


def rescue_orphans(tree: StorageTree) -> None:
    """Moves the folders of dead receivers; that one is dead shows by its lock being free."""
    for receiver in tree.incoming.iterdir():
        if receiver.name.startswith(".") or not (receiver / ALIVE_FILE).exists():
            continue
        held = LockedFile.try_lock(receiver / ALIVE_FILE)
        if held is None:
            continue
        with held:
            for association_id in ids_in(receiver):
                _abort_orphan(tree, receiver / association_id)
            throw_away(tree, receiver)


def _abort_orphan(tree: StorageTree, folder: Path) -> None:
    if (folder / DELIVERY_FILE).exists():
        # It died within the commit, or the commit failed: never to be removed unasked.
        quarantine(tree, folder, _DIED_COMMITTING)
        log.error("orphan of a commit moved to quarantine", association=folder.name)
        return
    for partial in folder.glob(f"*{PARTIAL_SUFFIX}"):
        partial.unlink()
    try:
        text = (folder / ASSOCIATION_FILE).read_bytes()
        association = Association.model_validate_json(text)
    except (FileNotFoundError, ValidationError):
        if any(folder.glob(f"*{INSTANCE_SUFFIX}")):
            quarantine(tree, folder, _NO_RECORD)
            log.error("orphan without a record moved to quarantine", association=folder.name)
        else:  # it died before its first instance was whole
            throw_away(tree, folder)
        return
    record = Delivery(
        **association.model_dump(),
        ended=datetime.now(UTC),
        end="died",
        reason="the receiver died during the association",
        instances=tuple(_instances(folder)),
    )
    record.write(folder / ABORTED_FILE)
    durable.move(folder, tree.aborted / folder.name)
    log.warning("orphan moved to aborted", association=folder.name)


def _instances(folder: Path) -> list[Instance]:
    """What is whole in a folder whose receiver can no longer say."""
    found = []
    for path in sorted(folder.glob(f"*{INSTANCE_SUFFIX}")):
        with contextlib.suppress(NotPart10Error):
            meta = read_file_meta(path)
            found.append(
                Instance(
                    sop_class_uid=meta.sop_class_uid,
                    sop_instance_uid=meta.sop_instance_uid,
                    transfer_syntax_uid=meta.transfer_syntax_uid,
                    file=path.name,
                    size=path.stat().st_size,
                )
            )
    return found
