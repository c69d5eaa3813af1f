"""`reports/<Transaction UID>_<id>.dcm`: what a destination said, until a worker has taken it in.

Whoever hears of it, a receiver or the worker that asked, writes it down before it answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from shared import durable
from shared.commitment.transaction import is_known
from shared.commitment.transaction_uid import find_transaction_uid
from shared.ids import new_id
from shared.part10 import encode_head
from shared.settings.sections import Dicom
from shared.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from shared.tree import StorageTree
from shared.upper_layer.n_services import EventReportRequest, EventReportResponse
from shared.upper_layer.status import Status

_EVENT_TYPES = (1, 2)  # all are committed; failures exist (PS3.4 J.3.3.1)
_SUFFIX = ".dcm"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Report:
    """An N-EVENT-REPORT as it came."""

    request: EventReportRequest
    transfer_syntax: str
    data_set: bytes
    calling_ae_title: str
    called_ae_title: str

    def keep(self, tree: StorageTree, dicom: Dicom) -> Status:
        """The status to answer with (PS3.7 10.1.1.1.8); with success, the report is durable."""
        if self.request.sop_class_uid != STORAGE_COMMITMENT:
            return Status.NO_SUCH_SOP_CLASS
        if self.request.sop_instance_uid != STORAGE_COMMITMENT_INSTANCE:
            return Status.NO_SUCH_SOP_INSTANCE
        if self.request.type_id not in _EVENT_TYPES:
            return Status.NO_SUCH_EVENT_TYPE
        transaction_uid = find_transaction_uid(self.data_set, self.transfer_syntax)
        if not is_known(tree, transaction_uid):
            return Status.INVALID_ARGUMENT_VALUE
        path = tree.reports / f"{transaction_uid}_{new_id()}{_SUFFIX}"
        try:
            durable.write_file(path, self._head(dicom) + self.data_set)
        except OSError as error:
            log.error("a report could not be stored", error=error.strerror)
            return Status.PROCESSING_FAILURE
        return Status.SUCCESS

    def answer(self, status: Status) -> EventReportResponse:
        return EventReportResponse(
            self.request.message_id,
            self.request.sop_class_uid,
            self.request.sop_instance_uid,
            self.request.type_id,
            status,
        )

    def _head(self, dicom: Dicom) -> bytes:
        return encode_head(
            sop_class_uid=self.request.sop_class_uid,
            sop_instance_uid=self.request.sop_instance_uid,
            transfer_syntax_uid=self.transfer_syntax,
            implementation_class_uid=dicom.implementation_class_uid,
            implementation_version_name=dicom.implementation_version_name,
            calling_ae_title=self.calling_ae_title,
            called_ae_title=self.called_ae_title,
        )


def reports(tree: StorageTree, transaction_uid: str = "*") -> Iterator[tuple[str, Path]]:
    """Transaction UID and file of each report that waits, of one transaction or of all."""
    for path in sorted(tree.reports.glob(f"{transaction_uid}_*{_SUFFIX}")):
        yield path.name.partition("_")[0], path
