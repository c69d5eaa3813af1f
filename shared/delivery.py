"""The record of an association's data: `delivery.json`, written once, at commit."""

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared import durable

DELIVERY_FILE = "delivery.json"
ASSOCIATION_FILE = "association.json"
ABORTED_FILE = "aborted.json"
INSTANCE_SUFFIX = ".dcm"
PARTIAL_SUFFIX = ".part"


class Record(BaseModel):
    """Stands on disk as JSON; unknown keys of a newer version are kept out of the way."""

    model_config = ConfigDict(frozen=True)

    def write(self, path: Path) -> None:
        """Durably, whole (see `durable.write_file`)."""
        durable.write_file(path, self.model_dump_json(indent=1).encode())


@dataclass(frozen=True, slots=True)
class Instance:
    """One stored SOP instance. No patient data."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    file: str
    size: int  # bytes of the file, head included
    conflicts: bool = False  # another data set came under the same SOP Instance UID


class Association(Record):
    """Who sent a delivery; `association.json` says it from the first C-STORE on."""

    id: str
    receiver: str
    calling_ae_title: str
    called_ae_title: str
    ae_title: str  # ours: whose settings apply
    peer_address: str
    peer_implementation_class_uid: str
    peer_implementation_version_name: str
    settings_revision: str
    started: datetime


class Delivery(Association):
    """What an association left behind, and how it ended.

    `delivery.json` in a committed folder, `aborted.json` in an aborted one.
    """

    ended: datetime
    end: Literal["released", "aborted", "died"]
    reason: str = ""
    instances: tuple[Instance, ...]
    ignored: int = 0  # C-STOREs of SOP classes that the AE title ignores
    refused: int = 0  # C-STOREs answered with a failure status
    duplicates: int = 0  # the same data set again: one copy is kept

    @property
    def incomplete(self) -> bool:
        return self.end != "released"

    @property
    def size(self) -> int:
        """Of its files, in bytes."""
        return sum(instance.size for instance in self.instances)


def instance_file_name(sop_instance_uid: str, taken: Container[str]) -> str:
    """A name that is free: `<uid>.dcm`, or with a number for a further data set under that UID."""
    # `1.2.2.dcm` may be the second file of 1.2 or the first of 1.2.2: ask for the name.
    name, number = sop_instance_uid + INSTANCE_SUFFIX, 1
    while name in taken:
        number += 1
        name = f"{sop_instance_uid}.{number}{INSTANCE_SUFFIX}"
    return name


def read_delivery(folder: Path) -> Delivery:
    """The record of a committed or dispatched folder.

    Raises:
        FileNotFoundError: there is no such delivery here.
        pydantic.ValidationError: the record is damaged.
    """
    return Delivery.model_validate_json((folder / DELIVERY_FILE).read_bytes())
