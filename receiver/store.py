"""What becomes of one C-STORE: where its data set goes, and what is answered (PS3.4 B.2.3)."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from receiver.allowance import Allowance
from receiver.instance_file import InstanceFile
from receiver.transaction import Transaction
from shared import part10
from shared.settings.sections import Dicom
from shared.sop_classes import is_storage
from shared.uid import is_uid
from shared.upper_layer.c_services import StoreRequest, StoreResponse
from shared.upper_layer.dimse import Response
from shared.upper_layer.status import Status

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Answer:
    status: Status
    error_comment: str = ""

    def to(self, request: StoreRequest) -> StoreResponse:
        return StoreResponse(
            request.message_id,
            request.sop_class_uid,
            request.sop_instance_uid,
            self.status,
            self.error_comment,
        )


STORED: Final = Answer(Status.SUCCESS)
IGNORED: Final = Answer(Status.SUCCESS)
NOT_STORAGE: Final = Answer(Status.SOP_CLASS_NOT_SUPPORTED, "Not a storage SOP class")
NOT_A_UID: Final = Answer(Status.INVALID_SOP_INSTANCE, "SOP Instance UID is not a UID")
NO_ROOM: Final = Answer(Status.OUT_OF_RESOURCES, "Out of resources: storage is full")


def judge(
    request: StoreRequest, ignored_sop_classes: Container[str], *, under_reserve: bool
) -> Answer | None:
    """The answer that is settled before the data set comes; None: it is to be stored."""
    if not is_storage(request.sop_class_uid):
        return NOT_STORAGE
    if not is_uid(request.sop_instance_uid):
        return NOT_A_UID
    if request.sop_class_uid in ignored_sop_classes:
        return IGNORED
    if under_reserve:
        return NO_ROOM
    return None


class DataSet(Protocol):
    """A data set under way, and the response that is due when it is over."""

    def add(self, fragment: memoryview) -> None: ...
    def flush(self) -> None: ...
    def end(self) -> Response: ...
    def discard(self) -> None: ...


class PassedOver:
    """A data set that nobody wants; its message is answered all the same, once it is over."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def add(self, fragment: memoryview) -> None:
        pass

    def flush(self) -> None:
        pass

    def end(self) -> Response:
        return self._response

    def discard(self) -> None:
        pass


class Kept:
    """A data set that goes to disk. The first failure settles the answer; the rest is let pass."""

    def __init__(
        self,
        request: StoreRequest,
        transfer_syntax: str,
        transaction: Transaction,
        dicom: Dicom,
        allowance: Allowance,
    ) -> None:
        self._request = request
        self._transfer_syntax = transfer_syntax
        self._transaction = transaction
        self._allowance = allowance
        self._failure: Answer | None = None
        self._file: InstanceFile | None = None
        try:
            self._file = transaction.begin(self._head(dicom))
        except OSError as error:
            self._fail(error)

    def add(self, fragment: memoryview) -> None:
        if self._file:
            self._file.add(fragment)

    def flush(self) -> None:
        if self._file:
            try:
                self._file.flush()
            except OSError as error:
                self._fail(error)
        # It may be long, and there was room when it began.
        if self._file and (
            objection := self._allowance.objection(self._file.size, self._transaction.size)
        ):
            self._refuse(objection)

    def end(self) -> StoreResponse:
        self.flush()
        if self._file:
            try:
                self._transaction.keep(
                    self._file,
                    sop_class_uid=self._request.sop_class_uid,
                    sop_instance_uid=self._request.sop_instance_uid,
                    transfer_syntax_uid=self._transfer_syntax,
                )
            except OSError as error:
                self._fail(error)
        return (self._failure or STORED).to(self._request)

    def discard(self) -> None:
        """The data set will not be whole."""
        if self._file:
            file, self._file = self._file, None
            try:
                file.discard()
            except OSError as error:
                log.warning("a partial file could not be removed", error=error.strerror)

    def _fail(self, error: OSError) -> None:
        log.error(
            "an instance could not be stored",
            association=self._transaction.association.id,
            error=error.strerror,
        )
        self._give_up(error.strerror or "error")

    def _refuse(self, objection: str) -> None:
        log.warning(
            "an instance was refused",
            association=self._transaction.association.id,
            reason=objection,
        )
        self._give_up(objection)

    def _give_up(self, words: str) -> None:
        self._transaction.refused += 1
        self._failure = Answer(Status.OUT_OF_RESOURCES, f"Out of resources: {words}")
        self.discard()

    def _head(self, dicom: Dicom) -> bytes:
        return part10.encode_head(
            sop_class_uid=self._request.sop_class_uid,
            sop_instance_uid=self._request.sop_instance_uid,
            transfer_syntax_uid=self._transfer_syntax,
            implementation_class_uid=dicom.implementation_class_uid,
            implementation_version_name=dicom.implementation_version_name,
            calling_ae_title=self._transaction.association.calling_ae_title,
            called_ae_title=self._transaction.association.called_ae_title,
        )


def begin_store(
    request: StoreRequest,
    transfer_syntax: str,
    transaction: Transaction,
    dicom: Dicom,
    ignored_sop_classes: Container[str],
    allowance: Allowance,
) -> DataSet:
    """Where the data set of this C-STORE-RQ is to go."""
    answer = judge(request, ignored_sop_classes, under_reserve=allowance.under_reserve)
    if answer is None:
        return Kept(request, transfer_syntax, transaction, dicom, allowance)
    if answer is IGNORED:
        transaction.ignored += 1
    else:
        transaction.refused += 1
    return PassedOver(answer.to(request))
