"""`quarantine.json`: why a delivery was set apart, and since when."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from shared import durable
from shared.delivery import Record
from shared.tree import StorageTree

QUARANTINE_FILE = "quarantine.json"


class Quarantined(Record):
    reason: str
    when: datetime


def quarantine(tree: StorageTree, folder: Path, reason: str) -> None:
    """Sets a delivery apart until a person decides; nothing of it is changed.

    Raises:
        FileNotFoundError: somebody else has moved it.
    """
    Quarantined(reason=reason, when=datetime.now(UTC)).write(folder / QUARANTINE_FILE)
    durable.move(folder, tree.quarantine / folder.name)


def read_quarantined(folder: Path) -> Quarantined | None:
    """None where nothing, or nothing that can be read, was written down."""
    try:
        return Quarantined.model_validate_json((folder / QUARANTINE_FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
