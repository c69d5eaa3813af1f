"""Deliveries that are set apart, as receivers and workers leave them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.delivery import ABORTED_FILE, DELIVERY_FILE
from tests.workers.site import Given, Site, id_of

INSTANCES = (Given("1.2.3"), Given("1.2.4"))


def aborted_delivery(site: Site, *, age: timedelta = timedelta(), **fields: Any) -> Path:
    ended = datetime.now(UTC) - age
    known: dict[str, Any] = {"end": "aborted", "reason": "A-ABORT by the peer", "ended": ended}
    delivery_id = site.commit(*INSTANCES, id=id_of(age), **known | fields)
    folder = (site.tree.committed / delivery_id).rename(site.tree.aborted / delivery_id)
    (folder / DELIVERY_FILE).rename(folder / ABORTED_FILE)
    return folder


def quarantined_delivery(site: Site, *, age: timedelta = timedelta(), **fields: Any) -> Path:
    """Nothing says why."""
    ended = datetime.now(UTC) - age
    delivery_id = site.commit(*INSTANCES, id=id_of(age), ended=ended, **fields)
    return (site.tree.committed / delivery_id).rename(site.tree.quarantine / delivery_id)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
