"""Storage commitment over an association as requestor: asked for, and perhaps heard (PS3.4 J.3)."""

import time
from collections.abc import Callable

from shared.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from shared.upper_layer.events import DataEnded, DataFragment, MessageReceived
from shared.upper_layer.n_services import (
    ActionRequest,
    ActionResponse,
    EventReportRequest,
    EventReportResponse,
)
from shared.upper_layer.presentation_context import ProposedContext
from workers.scu.association import ScuAssociation
from workers.scu.contexts import IMPLICIT_VR_LITTLE_ENDIAN
from workers.scu.errors import AssociationLostError, SilentError
from workers.scu.exchange import out_of_turn

COMMITMENT_CONTEXT = ProposedContext(1, STORAGE_COMMITMENT, (IMPLICIT_VR_LITTLE_ENDIAN,))
_REQUEST_STORAGE_COMMITMENT = 1  # action type, PS3.4 table J.3-1

Take = Callable[[EventReportRequest, bytes], EventReportResponse]


class CommitmentScu:
    """Speaks on an association with `COMMITMENT_CONTEXT`; each report is answered by `take`.

    Raises (on creation):
        NotAcceptedError: the peer is no SCP of storage commitment.
    """

    def __init__(self, association: ScuAssociation, take: Take) -> None:
        self._association = association
        self._take = take
        self._context_id = association.context(STORAGE_COMMITMENT, IMPLICIT_VR_LITTLE_ENDIAN)
        self.reports = 0  # that came so far

    def ask(self, action_information: bytes) -> int | None:
        """The status of the N-ACTION response; None where it has none.

        Raises:
            AssociationLostError: it is not known whether the peer was asked.
        """
        request = ActionRequest(
            self._association.message_id(),
            STORAGE_COMMITMENT,
            STORAGE_COMMITMENT_INSTANCE,
            _REQUEST_STORAGE_COMMITMENT,
        )
        self._association.request(self._context_id, request, action_information)
        while isinstance(message := self._message(), EventReportRequest):
            self._answer(message)
        if (
            not isinstance(message, ActionResponse)
            or message.message_id_responded_to != request.message_id
        ):
            raise AssociationLostError("the answer to an N-ACTION was not its response")
        if message.has_data_set:
            self._data_set()
        return message.status

    def listen(self, seconds: float) -> None:
        """Waits so long for a report, and no longer once one has come.

        Raises:
            AssociationLostError: the peer has gone, or says something else.
        """
        deadline = time.monotonic() + seconds
        while not self.reports and (left := deadline - time.monotonic()) > 0:
            try:
                message = self._message(left)
            except SilentError:
                return
            if not isinstance(message, EventReportRequest):
                raise AssociationLostError("a message where a report should be")
            self._answer(message)

    def _answer(self, report: EventReportRequest) -> None:
        data_set = self._data_set() if report.has_data_set else b""
        self._association.respond(self._context_id, self._take(report, data_set))
        self.reports += 1

    def _message(self, seconds: float | None = None) -> object:
        event = self._association.event(seconds)
        if not isinstance(event, MessageReceived):
            raise out_of_turn(event)
        return event.message

    def _data_set(self) -> bytes:
        gathered = bytearray()
        while isinstance(event := self._association.event(), DataFragment):
            gathered += event.payload
        if not isinstance(event, DataEnded):
            raise out_of_turn(event)
        return bytes(gathered)
