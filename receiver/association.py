"""One association from the A-ASSOCIATE-RQ to its end: receives, answers, commits or rolls back."""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import structlog

from receiver.admission import AT_LIMIT, Admitted, Refused, admit, supports
from receiver.allowance import Allowance
from receiver.commit import commit, roll_back
from receiver.connection import Connection, ConnectionEndedError, ConnectionLostError
from receiver.patience import Patience
from receiver.record import association_record, log_end
from receiver.services import Services
from receiver.store import DataSet, PassedOver, begin_store
from receiver.transaction import Transaction
from shared.ended_association import EndedAssociation
from shared.ids import new_id
from shared.settings.sections import AeTitleEntry
from shared.upper_layer.association import Acceptor
from shared.upper_layer.dimse import (
    CancelRequest,
    EchoRequest,
    EchoResponse,
    Message,
    Response,
    StoreRequest,
    StoreResponse,
    UnsupportedRequest,
    UnsupportedResponse,
)
from shared.upper_layer.errors import AbortReason, ProtocolError
from shared.upper_layer.events import (
    Aborted,
    AssociateRequested,
    DataEnded,
    DataFragment,
    Event,
    MessageReceived,
    ReleaseRequested,
)
from shared.upper_layer.negotiation import answer_contexts, answer_roles
from shared.upper_layer.pdu import Abort, AssociateRequest
from shared.upper_layer.state import State
from shared.upper_layer.status import Status
from shared.upper_layer.user_information import UserInformation

_FIRST_BUFFER = 16 << 10  # enough for one that sends no instances
_OWN_BUFFER = 64 << 10

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class End:
    how: Literal["released", "refused", "aborted"]
    words: str = ""
    cause: str = ""  # see EndedAssociation


class Association:
    """Driven by one thread: `run` returns when the connection is closed."""

    def __init__(self, services: Services, connection: Connection) -> None:
        settings = services.settings
        dicom = settings.dicom
        self.id = new_id()
        self._services = services
        self._settings = settings
        self._connection = connection
        self._acceptor = Acceptor(dicom.max_pdu_length)
        self._patience = Patience(settings.receiver)
        self._buffer = bytearray(_FIRST_BUFFER)
        self._borrowed: bytearray | None = None  # in place of our own, within a data set
        self._began = time.monotonic()
        self._request: AssociateRequest | None = None
        self._entry: AeTitleEntry | None = None  # set once admitted, as is the transaction
        self._transaction: Transaction | None = None
        self._holds_slot = False
        self._data_set: DataSet | None = None  # set within one

    def run(self) -> None:
        end = End("aborted", "internal error", "us")
        try:
            end = self._converse()
        except ConnectionLostError as error:
            end = End("aborted", str(error), "connection")
        except ConnectionEndedError as error:
            end = End("aborted", str(error), "us")
            # In Sta2 the connection is closed without a word (PS3.8 AA-2).
            if self._acceptor.state is State.ESTABLISHED:
                self._connection.send_last(self._acceptor.abort())
        except ProtocolError as error:
            end = End("aborted", f"protocol error: {error}", "us")
            self._connection.send_last(self._acceptor.abort(error.source, error.reason))
        except Exception:  # a fault of ours: the thread ends with its traceback
            if self._acceptor.state is not State.AWAITING_CLOSE:
                self._connection.send_last(self._acceptor.abort())
            raise
        finally:
            self._free_slot()
            self._give_back()
            self._settle(end)
            self._connection.associated = False
            self._connection.close()
            self._report(end)

    def _converse(self) -> End:
        while True:
            limit = self._patience.limit(time.monotonic() - self._began)
            buffer = self._borrowed or self._buffer
            count, waited = self._connection.receive_into(buffer, limit)
            if end := self._take(memoryview(buffer)[:count]):
                return end
            self._patience.received(waited, self._acceptor.pdu_under_way)
            if self._acceptor.mid_message:  # else the answer was one
                self._connection.acknowledge()

    def _take(self, data: memoryview) -> End | None:
        for event in self._acceptor.receive(data):
            if isinstance(event, DataFragment):
                assert self._data_set is not None
                self._data_set.add(event.payload)
            elif end := self._handle(event):
                return end
        if self._data_set is not None:
            self._data_set.flush()  # the buffer is about to be filled anew
            if len(self._buffer) < _OWN_BUFFER:
                self._buffer = bytearray(_OWN_BUFFER)
            self._borrowed = self._borrowed or self._services.buffers.borrow()
        else:
            self._give_back()
        return None

    def _give_back(self) -> None:
        if self._borrowed is not None:
            self._services.buffers.give_back(self._borrowed)
            self._borrowed = None

    def _handle(self, event: Event) -> End | None:
        match event:
            case AssociateRequested(request):
                return self._negotiate(request)
            case MessageReceived(context_id, message):
                self._begin_message(context_id, message)
            case DataEnded(context_id):
                assert self._data_set is not None
                response = self._end_data_set(self._data_set)
                self._respond(context_id, response)
            case ReleaseRequested():
                return self._release()
            case Aborted(source, reason):
                words = f"by the peer: {Abort(source, reason).describe()}"
                return End("aborted", words, "peer")
        return None

    def _negotiate(self, request: AssociateRequest) -> End | None:
        self._request = request
        decision = admit(
            request,
            self._connection.peer_address,
            self._settings,
            self._services.load(),
            self._connection.certificate_names,
        )
        if isinstance(decision, Admitted) and not self._services.slots.take():
            decision = AT_LIMIT
        if isinstance(decision, Refused):
            code = decision.result, decision.source, decision.reason
            self._connection.send_last(self._acceptor.reject(*code))
            cause = ",".join(map(str, code))
            return End("refused", f"{cause} {decision.words}", cause)
        self._holds_slot = True
        self._connection.associated = True
        self._entry = decision.ae_title
        self._patience.associated()
        self._transaction = Transaction(
            association_record(
                self.id,
                self._services.incoming.receiver,
                request,
                self._connection.peer_address,
                decision.ae_title,
                self._settings,
            ),
            self._services.incoming,
            self._services.syncs.batch(),
            self._settings.storage.durability,
        )
        # The asynchronous operations window is not answered: synchronous (PS3.7 D.3.3.3).
        ours = UserInformation(
            implementation_class_uid=self._settings.dicom.implementation_class_uid,
            implementation_version_name=self._settings.dicom.implementation_version_name,
            role_selections=answer_roles(request.user_information.role_selections, supports),
        )
        contexts = answer_contexts(request.presentation_contexts, supports)
        self._connection.send(self._acceptor.accept(contexts, ours))
        return None

    def _begin_message(self, context_id: int, message: Message) -> None:
        match message:
            case StoreRequest():
                self._data_set = self._begin_store(context_id, message)
            case EchoRequest(message_id):
                self._respond(context_id, EchoResponse(message_id, Status.SUCCESS))
            case CancelRequest():
                pass  # it has no response, and nothing here takes long enough
            case UnsupportedRequest(command_field, message_id, has_data_set):
                response = UnsupportedResponse(
                    message_id, command_field, Status.UNRECOGNIZED_OPERATION
                )
                if has_data_set:
                    self._data_set = PassedOver(response)
                else:
                    self._respond(context_id, response)
            case _:
                raise ProtocolError("a response to nothing", AbortReason.UNEXPECTED_PDU_PARAMETER)

    def _begin_store(self, context_id: int, request: StoreRequest) -> DataSet:
        assert self._entry is not None
        assert self._transaction is not None
        return begin_store(
            request,
            self._acceptor.accepted[context_id].transfer_syntax,
            self._transaction,
            self._settings.dicom,
            self._entry.ignored_sop_classes,
            Allowance(self._settings.receiver, self._services.capacity),
        )

    def _end_data_set(self, data_set: DataSet) -> Response:
        assert self._transaction is not None
        before = self._transaction.size
        response = data_set.end()
        self._data_set = None
        if isinstance(response, StoreResponse) and response.status is not None:
            self._services.tally.responded(response.status, self._transaction.size - before)
        return response

    def _respond(self, context_id: int, response: Response) -> None:
        self._connection.send(self._acceptor.respond(context_id, response))

    def _release(self) -> End:
        """The commit point: the A-RELEASE-RP says that all is safe."""
        if self._data_set is not None:
            raise ProtocolError("A-RELEASE-RQ within a message", AbortReason.UNEXPECTED_PDU)
        assert self._transaction is not None
        began = time.monotonic()
        try:
            committed = commit(self._transaction, self._services.tree, "released")
        except OSError as error:
            log.error("commit failed; the folder stays", id=self.id, error=error.strerror)
            self._connection.send_last(self._acceptor.abort())
            return End("aborted", f"by us: commit failed: {error.strerror}", "us")
        self._free_slot()
        # What is committed stands, whether or not the peer hears of it.
        with suppress(ConnectionLostError):
            self._connection.send(self._acceptor.release_response())
        if committed:
            self._services.tally.committed(time.monotonic() - began)
            self._announce()
        return End("released")

    def _settle(self, end: End) -> None:
        """Whatever ended the association, its transaction ends with it."""
        if self._data_set is not None:
            self._data_set.discard()
        if self._transaction is None or self._entry is None or self._transaction.settled:
            return
        tree, retention = self._services.tree, self._settings.storage.aborted_retention
        try:
            if self._entry.on_abort == "hold":
                roll_back(self._transaction, tree, retention, end.words)
            elif commit(self._transaction, tree, "aborted", end.words):
                self._announce()
        except OSError as error:
            log.error("not set apart; the folder stays", id=self.id, error=error.strerror)

    def _announce(self) -> None:
        assert self._entry is not None
        self._services.outbox.put(self.id, self._entry.priority)

    def _free_slot(self) -> None:
        if self._holds_slot:
            self._holds_slot = False
            self._connection.closing = True
            self._services.slots.free()

    def _report(self, end: End) -> None:
        if self._request is None:
            log.debug("connection ended", peer=self._connection.peer_address, reason=end.words)
            return
        kept = self._transaction
        ended = EndedAssociation(
            id=self.id,
            receiver=self._services.incoming.receiver,
            peer=self._connection.peer_address,
            calling=self._request.calling_ae_title,
            called=self._request.called_ae_title,
            contexts_offered=len(self._request.presentation_contexts),
            contexts_accepted=len(self._acceptor.accepted),
            instances=len(kept.instances) if kept else 0,
            bytes=kept.size if kept else 0,
            seconds=round(time.monotonic() - self._began, 3),
            ended=datetime.now(UTC),
            end=end.how,
            cause=end.cause,
            reason=end.words,
        )
        log_end(ended)
        self._services.tally.ended(ended.end, ended.cause)
        self._services.reporter.put(ended)
