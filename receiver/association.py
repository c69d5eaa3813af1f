"""One association from the A-ASSOCIATE-RQ to its end: admitted, released or aborted."""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import structlog

from receiver.admission import AT_LIMIT, Admitted, Refused, admit
from receiver.buffers import ReceiveBuffer
from receiver.commit import commit, end_unreleased
from receiver.connection import Connection, ConnectionEndedError, ConnectionLostError
from receiver.message_exchange import MessageExchange
from receiver.negotiation import answer
from receiver.patience import Patience
from receiver.record import association_record, log_end
from receiver.services import Services
from receiver.transaction import Transaction
from shared.ended_association import EndedAssociation
from shared.ids import new_id
from shared.settings.receiving import AeTitleEntry
from shared.upper_layer.associate import AssociateRequest
from shared.upper_layer.association import Acceptor
from shared.upper_layer.errors import ProtocolError
from shared.upper_layer.events import Aborted, AssociateRequested, Event, ReleaseRequested
from shared.upper_layer.pdu import Abort
from shared.upper_layer.state import State

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
        self.id = new_id()
        self._services = services
        self._settings = settings
        self._connection = connection
        self._acceptor = Acceptor(settings.dicom.max_pdu_length)
        self._patience = Patience(settings.receiver)
        self._buffer = ReceiveBuffer(services.buffers)
        self._began = time.monotonic()
        self._request: AssociateRequest | None = None
        self._holds_slot = False
        self._exchange: MessageExchange | None = None  # set once admitted

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
            self._buffer.give_back()
            if self._exchange is not None:
                self._settle(self._exchange, end)
            self._connection.associated = False
            self._connection.close()
            self._report(end)

    def _converse(self) -> End:
        while True:
            limit = self._patience.limit(time.monotonic() - self._began)
            memory = self._buffer.memory
            count, waited = self._connection.receive_into(memory, limit)
            if end := self._take(memoryview(memory)[:count]):
                return end
            self._patience.received(waited, self._acceptor.pdu_under_way)
            if self._acceptor.mid_message:  # else the answer was one
                self._connection.acknowledge()

    def _take(self, data: memoryview) -> End | None:
        for event in self._acceptor.receive(data):
            if self._exchange is not None and self._exchange.take(event):
                continue
            if end := self._handle(event):
                return end
        if self._exchange is not None and self._exchange.within_data_set:
            self._exchange.flush()  # the buffer is about to be filled anew
            self._buffer.enlarge()
        else:
            self._buffer.give_back()
        return None

    def _handle(self, event: Event) -> End | None:
        match event:
            case AssociateRequested(request):
                return self._negotiate(request)
            case ReleaseRequested() if self._exchange is not None:
                return self._release(self._exchange)
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
        self._patience.associated()
        self._exchange = MessageExchange(
            self._services,
            self._settings,
            self._connection,
            self._acceptor,
            request,
            decision,
            self._transaction(request, decision.ae_title),
        )
        answered = answer(request, decision, self._settings.dicom)
        self._connection.send(self._acceptor.accept(*answered))
        return None

    def _transaction(self, request: AssociateRequest, entry: AeTitleEntry) -> Transaction:
        incoming = self._services.incoming
        record = association_record(
            self.id,
            incoming.receiver,
            request,
            self._connection.peer_address,
            entry,
            self._settings,
        )
        syncs = self._services.syncs.batch()
        return Transaction(record, incoming, syncs, self._settings.storage.durability)

    def _release(self, exchange: MessageExchange) -> End:
        """The commit point: the A-RELEASE-RP says that all is safe."""
        began = time.monotonic()
        try:
            committed = commit(exchange.transaction, self._services.tree, "released")
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
            self._services.outbox.put(self.id, exchange.entry.priority)
        return End("released")

    def _settle(self, exchange: MessageExchange, end: End) -> None:
        """Whatever ended the association, its transaction ends with it."""
        exchange.break_off()
        transaction, entry = exchange.transaction, exchange.entry
        if transaction.settled:
            return
        storage = self._settings.storage
        try:
            if end_unreleased(transaction, self._services.tree, entry, storage, end.words):
                self._services.outbox.put(self.id, entry.priority)
        except OSError as error:
            log.error("not set apart; the folder stays", id=self.id, error=error.strerror)

    def _free_slot(self) -> None:
        if self._holds_slot:
            self._holds_slot = False
            self._connection.closing = True
            self._services.slots.free()

    def _report(self, end: End) -> None:
        if self._request is None:
            log.debug("connection ended", peer=self._connection.peer_address, reason=end.words)
            return
        kept = self._exchange.transaction if self._exchange else None
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
