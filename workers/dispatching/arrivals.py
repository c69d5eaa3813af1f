"""What is on its way to a group: associations that are open, deliveries not dispatched yet."""

import contextlib
from collections.abc import Iterator, Set
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from shared.delivery import ASSOCIATION_FILE, DELIVERY_FILE, Association
from shared.tree import StorageTree, ids_in
from workers.dispatching.dispatched import is_dispatched
from workers.reconciling.listing import Listing


class Sender(NamedTuple):
    """Whose associations may belong together."""

    ae_title: str  # ours
    calling_ae_title: str


class Arrivals:
    """Asked over and over: what was read once is remembered while it is there."""

    def __init__(self, tree: StorageTree) -> None:
        self._tree = tree
        self._known: dict[Path, Sender | None] = {}  # by the file that says so
        self._deliveries = Listing(tree.deliveries)
        self._listed: set[str] = set()
        self._dispatched: set[str] = set()
        self._pending: set[str] = set()

    def among(self, senders: Set[Sender]) -> Set[Sender]:
        """Those of them from whom something is on its way."""
        found: set[Sender] = set()
        known: dict[Path, Sender | None] = {}
        # In the order in which a delivery moves, so that none is missed between two places.
        for place in (self._open, self._committed, self._undispatched):
            for file in place():
                sender = known[file] = self._known.get(file) or _sender(file)
                if sender is not None and sender in senders:
                    found.add(sender)
            if found == senders:
                self._known |= known
                return found
        self._known = known
        return found

    def _open(self) -> Iterator[Path]:
        for receiver in self._tree.incoming.iterdir():
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                for association_id in ids_in(receiver):
                    yield receiver / association_id / ASSOCIATION_FILE

    def _committed(self) -> Iterator[Path]:
        for delivery_id in ids_in(self._tree.committed):
            yield self._tree.committed / delivery_id / DELIVERY_FILE

    def _undispatched(self) -> Iterator[Path]:
        folder = self._tree.deliveries
        ids = self._deliveries.ids()
        if ids is not self._listed:  # perhaps a hundred thousand, nearly all of them dispatched
            self._dispatched &= ids
            self._pending = ids - self._dispatched
            self._listed = ids
        through = {name for name in self._pending if is_dispatched(folder / name)}
        self._dispatched |= through
        self._pending -= through
        for name in self._pending:
            yield folder / name / DELIVERY_FILE


def _sender(file: Path) -> Sender | None:
    try:
        association = Association.model_validate_json(file.read_bytes())
    except FileNotFoundError:  # gone, or to be met at its next place
        return None
    except ValidationError:  # damaged: no dispatch will make anything of it
        return None
    return Sender(association.ae_title, association.calling_ae_title)
