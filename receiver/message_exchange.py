"""What an admitted peer sends within its association: messages, and the data sets with them."""

from receiver.admission import Admitted
from receiver.allowance import Allowance
from receiver.commitment_report import ReportedDataSet
from receiver.connection import Connection
from receiver.services import Services
from receiver.store import NOT_STORAGE, DataSet, PassedOver, begin_store
from receiver.transaction import Transaction
from shared.settings import Settings
from shared.upper_layer.associate import AssociateRequest
from shared.upper_layer.association import Acceptor
from shared.upper_layer.c_services import (
    CancelRequest,
    EchoRequest,
    EchoResponse,
    StoreRequest,
    StoreResponse,
)
from shared.upper_layer.dimse import (
    Message,
    Request,
    Response,
    UnsupportedRequest,
    UnsupportedResponse,
)
from shared.upper_layer.errors import AbortReason, ProtocolError
from shared.upper_layer.events import DataEnded, DataFragment, Event, MessageReceived
from shared.upper_layer.n_services import ActionRequest, EventReportRequest
from shared.upper_layer.status import Status


class MessageExchange:
    """Answers each message when it is over; what is to be stored goes into the transaction."""

    def __init__(
        self,
        services: Services,
        settings: Settings,
        connection: Connection,
        acceptor: Acceptor,
        request: AssociateRequest,
        admitted: Admitted,
        transaction: Transaction,
    ) -> None:
        self.entry = admitted.ae_title
        self.transaction = transaction
        self._request = request
        self._admitted = admitted
        self._tree = services.tree
        self._dicom = settings.dicom
        self._allowance = Allowance(settings.receiver, services.capacity)
        self._tally = services.tally
        self._connection = connection
        self._acceptor = acceptor
        self._data_set: DataSet | None = None  # set within one

    @property
    def within_data_set(self) -> bool:
        return self._data_set is not None

    def take(self, event: Event) -> bool:
        """Whether it was part of a message."""
        if self._data_set is not None and isinstance(event, DataFragment):
            self._data_set.add(event.payload)
        elif self._data_set is not None and isinstance(event, DataEnded):
            self._respond(event.context_id, self._end(self._data_set))
        elif isinstance(event, MessageReceived):
            self._begin(event.context_id, event.message)
        else:
            return False
        return True

    def flush(self) -> None:
        """Before the memory changes that the fragments of a data set are in."""
        if self._data_set is not None:
            self._data_set.flush()

    def break_off(self) -> None:
        """A message under way will not be whole."""
        if self._data_set is not None:
            self._data_set.discard()

    def _begin(self, context_id: int, message: Message) -> None:
        match message:
            case StoreRequest() if self._admitted.may_store:
                self._data_set = self._begin_store(context_id, message)
            case StoreRequest():
                self._answer_after(context_id, message, NOT_STORAGE.to(message))
            case EventReportRequest() if self._admitted.may_report:
                self._begin_report(context_id, message)
            case EchoRequest(message_id):
                self._respond(context_id, EchoResponse(message_id, Status.SUCCESS))
            case CancelRequest():
                pass  # it has no response, and nothing here takes long enough
            case UnsupportedRequest() | ActionRequest() | EventReportRequest():
                response = UnsupportedResponse(
                    message.message_id, message.command_field, Status.UNRECOGNIZED_OPERATION
                )
                self._answer_after(context_id, message, response)
            case _:
                raise ProtocolError("a response to nothing", AbortReason.UNEXPECTED_PDU_PARAMETER)

    def _answer_after(self, context_id: int, request: Request, response: Response) -> None:
        """Once its data set is over, if it has one."""
        if request.has_data_set:
            self._data_set = PassedOver(response)
        else:
            self._respond(context_id, response)

    def _begin_report(self, context_id: int, request: EventReportRequest) -> None:
        reported = ReportedDataSet(
            request,
            self._acceptor.accepted[context_id].transfer_syntax,
            self._request,
            self._tree,
            self._dicom,
        )
        if request.has_data_set:
            self._data_set = reported
        else:
            self._respond(context_id, reported.end())

    def _begin_store(self, context_id: int, request: StoreRequest) -> DataSet:
        return begin_store(
            request,
            self._acceptor.accepted[context_id].transfer_syntax,
            self.transaction,
            self._dicom,
            self.entry.ignored_sop_classes,
            self._allowance,
        )

    def _end(self, data_set: DataSet) -> Response:
        before = self.transaction.size
        response = data_set.end()
        self._data_set = None
        if isinstance(response, StoreResponse) and response.status is not None:
            self._tally.responded(response.status, self.transaction.size - before)
        return response

    def _respond(self, context_id: int, response: Response) -> None:
        self._connection.send(self._acceptor.respond(context_id, response))
