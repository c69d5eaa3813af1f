"""`commitments/<Transaction UID>.json`: for which export a destination was asked to commit."""

import uuid
from pathlib import Path

from shared.delivery import Record
from shared.tree import StorageTree
from shared.uid import is_uid


class Transaction(Record):
    """On disk before it is asked for, and for as long as its job is."""

    job: str
    destination: str

    def begin(self, tree: StorageTree) -> str:
        """Its Transaction UID, which is in use from now on."""
        transaction_uid = f"2.25.{uuid.uuid4().int}"  # PS3.5 B.2
        self.write(_path(tree, transaction_uid))
        return transaction_uid


def is_known(tree: StorageTree, transaction_uid: str) -> bool:
    """Of anything that a peer may say."""
    return is_uid(transaction_uid) and _path(tree, transaction_uid).exists()


def read_transaction(tree: StorageTree, transaction_uid: str) -> Transaction:
    """
    Raises:
        FileNotFoundError: it is none of ours, or its job is gone.
    """
    return Transaction.model_validate_json(_path(tree, transaction_uid).read_bytes())


def forget_transaction(tree: StorageTree, transaction_uid: str) -> None:
    _path(tree, transaction_uid).unlink(missing_ok=True)


def _path(tree: StorageTree, transaction_uid: str) -> Path:
    return tree.commitments / f"{transaction_uid}.json"
