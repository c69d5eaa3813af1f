"""What happens at an association's end: its data becomes visible whole, or not at all."""

from typing import Literal

from receiver.transaction import Transaction
from shared import durable
from shared.delivery import ABORTED_FILE, DELIVERY_FILE
from shared.settings.receiving import AeTitleEntry
from shared.settings.sections import Storage
from shared.tree import StorageTree


def commit(
    transaction: Transaction,
    tree: StorageTree,
    end: Literal["released", "aborted"],
    reason: str = "",
) -> bool:
    """Makes what was kept durable, then visible in `committed/` by one rename.

    False if nothing was kept, and so nothing is committed.

    Raises:
        OSError: it is not committed; the private folder stays as it is.
    """
    transaction.settled = True
    folder = transaction.folder
    if folder is None or not transaction.instances:
        transaction.remove()
        return False
    transaction.syncs.wait()
    # Syncs the folder as well, and so the names of the instances.
    transaction.delivery(end, reason).write(folder / DELIVERY_FILE)
    target = tree.committed / folder.name
    try:
        durable.move(folder, target)
    except OSError:
        # Renamed, but perhaps not durably: take it back, unless a worker was faster.
        if target.exists() and not folder.exists():
            target.rename(folder)
        raise
    return True


def end_unreleased(
    transaction: Transaction, tree: StorageTree, entry: AeTitleEntry, storage: Storage, reason: str
) -> bool:
    """Commits or rolls back what was not released, as its AE title says; whether it is committed.

    Raises:
        OSError: the private folder stays.
    """
    if entry.on_abort == "dispatch":
        return commit(transaction, tree, "aborted", reason)
    roll_back(transaction, tree, storage.aborted_retention, reason)
    return False


def roll_back(
    transaction: Transaction, tree: StorageTree, aborted_retention: float, reason: str
) -> None:
    """Sets what was kept apart in `aborted/` for `aborted_retention` seconds; 0 removes it.

    Raises:
        OSError: the private folder stays, for who cleans up after this process.
    """
    transaction.settled = True
    transaction.syncs.abandon()
    folder = transaction.folder
    if folder is None or not transaction.instances or not aborted_retention:
        transaction.remove()
        return
    transaction.delivery("aborted", reason).write(folder / ABORTED_FILE)
    durable.move(folder, tree.aborted / folder.name)
