"""A destination's report of storage commitment (PS3.4 J.3.3), as it comes in."""

import structlog

from shared.commitment.report import Report
from shared.settings.sections import Dicom
from shared.tree import StorageTree
from shared.upper_layer.associate import AssociateRequest
from shared.upper_layer.n_services import EventReportRequest, EventReportResponse
from shared.upper_layer.status import Status

_LONGEST = 16 << 20  # bytes, for far over 100,000 instances

log = structlog.get_logger()


class ReportedDataSet:
    """Gathered whole: it is small, and is on disk before it is answered."""

    def __init__(
        self,
        request: EventReportRequest,
        transfer_syntax: str,
        association: AssociateRequest,
        tree: StorageTree,
        dicom: Dicom,
    ) -> None:
        self._request = request
        self._transfer_syntax = transfer_syntax
        self._association = association
        self._tree = tree
        self._dicom = dicom
        self._gathered = bytearray()
        self._too_long = False

    def add(self, fragment: memoryview) -> None:
        self._too_long = self._too_long or len(self._gathered) + len(fragment) > _LONGEST
        if not self._too_long:
            self._gathered += fragment

    def flush(self) -> None:
        pass

    def end(self) -> EventReportResponse:
        report = Report(
            self._request,
            self._transfer_syntax,
            bytes(self._gathered),
            self._association.calling_ae_title,
            self._association.called_ae_title,
        )
        too_long = self._too_long
        status = Status.RESOURCE_LIMITATION if too_long else report.keep(self._tree, self._dicom)
        write = log.warning if status else log.info
        write(
            "storage commitment reported", calling=report.calling_ae_title, status=f"{status:04X}"
        )
        return report.answer(status)

    def discard(self) -> None:
        pass
