"""The right to decide about a delivery that is set apart: a person's, or housekeeping's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.delivery import ASSOCIATION_FILE
from shared.ids import is_id
from shared.locked_file import LockedFile
from shared.trash import throw_away, unlink
from shared.tree import StorageTree, ids_in


class UnknownDeliveryError(Exception):
    """No delivery, or more than one, is meant."""


class DecidedAlreadyError(Exception):
    """It is among the committed or dispatched deliveries: there is nothing left to decide."""


class RefusedError(Exception):
    """It cannot be done, and why, in words; nothing was changed."""


def find(parent: Path, id_or_part: str) -> Path:
    """The folder in `parent` with this id, or the only one whose id begins or ends so.

    Raises:
        UnknownDeliveryError: none, or several.
    """
    if is_id(id_or_part):
        matches = [id_or_part] if (parent / id_or_part).is_dir() else []
    else:
        ids = ids_in(parent) if id_or_part else ()
        matches = [i for i in ids if i.startswith(id_or_part) or i.endswith(id_or_part)]
    if len(matches) != 1:
        found = f"{len(matches)} deliveries match" if matches else "no delivery is"
        raise UnknownDeliveryError(f"{parent.name}: {found} {id_or_part!r}")
    return parent / matches[0]


def find_undecided(tree: StorageTree, parent: Path, id_or_part: str) -> Path:
    """As `find`, for whoever makes a committed delivery of it.

    Raises:
        DecidedAlreadyError: that was done before.
        UnknownDeliveryError: none, or several.
    """
    try:
        return find(parent, id_or_part)
    except UnknownDeliveryError:
        moved_on = (tree.committed / id_or_part, tree.deliveries / id_or_part)
        if is_id(id_or_part) and any(map(Path.is_dir, moved_on)):
            raise DecidedAlreadyError(id_or_part) from None
        raise


@contextmanager
def deciding(folder: Path) -> Iterator[None]:
    """One decision at a time; the folder is still where it was once the block begins.

    The lock is on a file that every delivery has from its first moment on, so that a full disk
    keeps nobody from discarding.

    Raises:
        RefusedError: somebody else decides about it at this moment, or has decided.
    """
    try:
        held = LockedFile.try_lock(folder / ASSOCIATION_FILE)
    except FileNotFoundError:
        raise _gone(folder) from None
    if held is None:
        raise RefusedError(f"{folder.name}: somebody else decides about it at this moment")
    with held:
        if not folder.exists():
            raise _gone(folder)
        yield


def discard(tree: StorageTree, parent: Path, id_or_part: str, trash_retention: float) -> str:
    """Removes a delivery that is set apart in `parent`; its id.

    Raises:
        UnknownDeliveryError: none, or several.
        RefusedError: somebody else decides about it.
        OSError: the storage failed.
    """
    folder = find(parent, id_or_part)
    with deciding(folder):
        grave = throw_away(tree, folder)
    if not trash_retention:
        unlink(grave)
    return folder.name


def _gone(folder: Path) -> RefusedError:
    return RefusedError(f"{folder.name} is not in {folder.parent.name} any more")
