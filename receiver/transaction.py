"""An association's data as a transaction: what it wrote, kept and counted, until its end."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from receiver.incoming import Incoming
from receiver.instance_file import InstanceFile
from receiver.syncing import SyncBatch
from shared.delivery import Association, Delivery, Instance, instance_file_name


@dataclass(frozen=True, slots=True)
class _Kept:
    file: str
    head_size: int
    transfer_syntax_uid: str


class Transaction:
    """Nothing is on disk until the first instance that is to be kept begins."""

    def __init__(
        self,
        association: Association,
        incoming: Incoming,
        syncs: SyncBatch,
        durability: Literal["association", "instance"],
    ) -> None:
        self.association = association
        self.folder: Path | None = None
        self.instances: list[Instance] = []
        self.size = 0  # of their files, in bytes
        self.ignored = 0
        self.refused = 0
        self.duplicates = 0
        self.settled = False  # its end is decided
        self.syncs = syncs
        self._incoming = incoming
        self._sync_each = durability == "instance"
        self._begun = 0
        self._names: set[str] = set()
        self._by_uid: dict[str, list[_Kept]] = {}

    def begin(self, head: bytes) -> InstanceFile:
        """A file for one more instance.

        Raises:
            OSError: it cannot be made; the transaction goes on without it.
        """
        if self.folder is None:
            self.folder = self._incoming.new_folder(self.association)
        self._begun += 1
        return InstanceFile(self.folder, self._begun, head)

    def keep(
        self,
        file: InstanceFile,
        *,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
    ) -> None:
        """Gives a whole file its name; of the same data set sent again, the first stays.

        Raises:
            OSError: `file` is not kept; the transaction goes on without it.
        """
        namesakes = self._by_uid.get(sop_instance_uid, [])
        if any(_is_same(file, transfer_syntax_uid, kept) for kept in namesakes):
            file.discard()
            self.duplicates += 1
            return
        name = instance_file_name(sop_instance_uid, self._names)
        self._make_lasting(file, name)
        self._names.add(name)
        self.size += file.size
        self._by_uid[sop_instance_uid] = [
            *namesakes,
            _Kept(name, file.head_size, transfer_syntax_uid),
        ]
        self.instances.append(
            Instance(
                sop_class_uid=sop_class_uid,
                sop_instance_uid=sop_instance_uid,
                transfer_syntax_uid=transfer_syntax_uid,
                file=name,
                size=file.size,
                conflicts=bool(namesakes),
            )
        )

    def delivery(self, end: Literal["released", "aborted"], reason: str) -> Delivery:
        """The record of what there is now."""
        return Delivery(
            **self.association.model_dump(),
            ended=datetime.now(UTC),
            end=end,
            reason=reason,
            instances=tuple(self.instances),
            ignored=self.ignored,
            refused=self.refused,
            duplicates=self.duplicates,
        )

    def remove(self) -> None:
        """Takes the folder away with all that is in it."""
        if self.folder is not None:
            shutil.rmtree(self.folder)

    def _make_lasting(self, file: InstanceFile, name: str) -> None:
        if self._sync_each:
            # In this order one commit of the file system's journal does for both.
            file.rename(name)
            file.sync()
            file.close()
        else:
            file.rename(name)
            self.syncs.add(file.hand_over())


def _is_same(file: InstanceFile, transfer_syntax_uid: str, kept: _Kept) -> bool:
    return kept.transfer_syntax_uid == transfer_syntax_uid and file.has_same_data_set(
        kept.file, kept.head_size
    )
