"""One association, seen from one side: bytes in, events out; calls in, bytes out.

    for event in acceptor.receive(data):
        ...  # answer with acceptor.accept(...), acceptor.respond(...), ...

A `ProtocolError` is the peer's doing: send what `abort(error.source, error.reason)` gives, and
close; what comes after it makes no sense any more. Once `state` is `AWAITING_CLOSE` nothing more
may be sent, and what is received is ignored.
"""

from collections.abc import Iterator
from dataclasses import replace

from shared.upper_layer.associate import AssociateAccept, AssociateRequest
from shared.upper_layer.dimse import Message, Request, Response, encode_command
from shared.upper_layer.errors import AbortReason, AbortSource, LocalProtocolError, ProtocolError
from shared.upper_layer.events import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    AssociateRequested,
    Event,
    ReleaseConfirmed,
    ReleaseRequested,
)
from shared.upper_layer.message import MessageReader
from shared.upper_layer.pdu import (
    Abort,
    AssociateReject,
    ControlPdu,
    ReleaseRequest,
    ReleaseResponse,
)
from shared.upper_layer.pdu_header import PduType
from shared.upper_layer.presentation_context import AnsweredContext, ContextResult
from shared.upper_layer.reader import PduReader, PdvPart
from shared.upper_layer.state import ACCEPTOR, REQUESTOR, Role, State, StateMachine
from shared.upper_layer.user_information import UserInformation
from shared.upper_layer.writer import MAX_PDU_LENGTH, command_pdus, data_pdus, fragment_length


class Association:
    """What both sides share. `max_pdu_length` is the one that we announce; 0 sets no limit."""

    def __init__(self, role: Role, max_pdu_length: int) -> None:
        self.max_pdu_length = max_pdu_length
        self.peer_max_pdu_length = 0
        self.accepted: dict[int, AnsweredContext] = {}
        self._machine = StateMachine(role)
        self._reader = PduReader(max_pdu_length, self._machine.expect)
        self._messages = MessageReader(self.accepted)
        self._fragment_length = 0

    @property
    def state(self) -> State:
        return self._machine.state

    @property
    def mid_pdu(self) -> bool:
        """Whether the peer has begun a PDU and not ended it."""
        return self._reader.mid_pdu

    @property
    def mid_message(self) -> bool:
        """Whether the peer has begun a PDU or a message and not ended it."""
        return self._reader.mid_pdu or self._messages.mid_message

    @property
    def pdu_under_way(self) -> int | None:
        """The number, counted from 1, of the PDU that the peer has begun and not ended."""
        return self._reader.pdus_begun if self._reader.mid_pdu else None

    def receive(self, data: bytes | bytearray | memoryview) -> Iterator[Event]:
        """What `data` means, in order; to be iterated to its end before the next call."""
        if self.state is State.AWAITING_CLOSE:
            return
        for item in self._reader.read(data):
            for event in self._events(item):
                yield event
                # By this event, or by what its owner did about it.
                if self._machine.state is State.AWAITING_CLOSE:
                    return

    def release(self) -> bytes:
        return self._send(ReleaseRequest())

    def release_response(self) -> bytes:
        return self._send(ReleaseResponse())

    def respond(self, context_id: int, message: Response) -> bytes:
        return self._send_message(context_id, message)

    def abort(self, source: int = AbortSource.SERVICE_PROVIDER, reason: int = 0) -> bytes:
        return self._send(Abort(source, reason))

    def _events(self, item: ControlPdu | PdvPart) -> tuple[Event, ...]:
        if isinstance(item, PdvPart):
            return self._messages.take(item)
        return (self._control(item),)

    def _control(self, pdu: ControlPdu) -> Event:
        self._machine.received(pdu.pdu_type)
        match pdu:
            case AssociateRequest():
                return AssociateRequested(pdu)
            case AssociateAccept():
                return AssociateAccepted(pdu)
            case AssociateReject():
                return AssociateRejected(pdu)
            case ReleaseRequest():
                # A message cut short must never pass for a whole delivery.
                if self._messages.mid_message:
                    raise ProtocolError(
                        "A-RELEASE-RQ in the middle of a message", AbortReason.UNEXPECTED_PDU
                    )
                return ReleaseRequested()
            case ReleaseResponse():
                return ReleaseConfirmed()
            case Abort():
                return Aborted(pdu.source, pdu.reason)

    def _learn(self, peer: UserInformation) -> None:
        self.peer_max_pdu_length = peer.max_pdu_length
        self._fragment_length = fragment_length(peer.max_pdu_length)

    def _send(self, pdu: ControlPdu) -> bytes:
        encoded = pdu.encode()
        self._machine.sent(pdu.pdu_type)
        return encoded

    def _send_message(self, context_id: int, message: Message) -> bytes:
        self._check_data_may_be_sent(context_id)
        return command_pdus(context_id, encode_command(message), self._fragment_length)

    def _check_data_may_be_sent(self, context_id: int) -> None:
        self._machine.sent(PduType.P_DATA_TF)
        if context_id not in self.accepted:
            raise LocalProtocolError(f"presentation context {context_id} was not accepted")


class Acceptor(Association):
    """The side that is called."""

    def __init__(self, max_pdu_length: int = MAX_PDU_LENGTH) -> None:
        super().__init__(ACCEPTOR, max_pdu_length)
        self._request: AssociateRequest | None = None

    def accept(
        self, contexts: tuple[AnsweredContext, ...], user_information: UserInformation
    ) -> bytes:
        """The A-ASSOCIATE-AC; it announces the maximum PDU length that the reader holds to."""
        request = self._request
        if request is None:
            raise LocalProtocolError("there is no A-ASSOCIATE-RQ to accept")
        encoded = self._send(
            AssociateAccept(
                request.called_ae_title,
                request.calling_ae_title,
                contexts,
                replace(user_information, max_pdu_length=self.max_pdu_length),
            )
        )
        self.accepted.update((c.id, c) for c in contexts if c.result is ContextResult.ACCEPTANCE)
        # PS3.8 9.3.3: bytes 11 to 74 go back as they came.
        return encoded[:10] + request.echo + encoded[74:]

    def reject(self, result: int, source: int, reason: int) -> bytes:
        return self._send(AssociateReject(result, source, reason))

    def _control(self, pdu: ControlPdu) -> Event:
        event = super()._control(pdu)
        if isinstance(pdu, AssociateRequest):
            self._request = pdu
            self._learn(pdu.user_information)
        return event


class Requestor(Association):
    """The side that calls."""

    def __init__(self, request: AssociateRequest) -> None:
        super().__init__(REQUESTOR, request.user_information.max_pdu_length)
        self._request = request
        self._owes_data_in: int | None = None  # the context of a data set that we have to end

    def associate(self) -> bytes:
        return self._send(self._request)

    def release(self) -> bytes:
        self._check_nothing_owed()
        return super().release()

    def send_command(self, context_id: int, message: Request) -> bytes:
        self._check_nothing_owed()
        encoded = self._send_message(context_id, message)
        self._owes_data_in = context_id if message.has_data_set else None
        return encoded

    def data_pdus(self, context_id: int, data: memoryview, last: bool) -> list[bytes | memoryview]:
        """A piece of a data set, for `sendmsg`: headers and slices of `data` by turns, no copy.

        A piece that is not the last one must be of an even number of bytes (PS3.8 E.1). There may
        be more buffers than one `sendmsg` takes (IOV_MAX).
        """
        self._check_data_may_be_sent(context_id)
        if context_id != self._owes_data_in:
            raise LocalProtocolError(f"no command in context {context_id} announced a data set")
        if last:
            self._owes_data_in = None
        return data_pdus(context_id, data, self._fragment_length, last=last)

    def _check_nothing_owed(self) -> None:
        if self._owes_data_in is not None:
            raise LocalProtocolError(f"the data set in context {self._owes_data_in} is not ended")

    def _control(self, pdu: ControlPdu) -> Event:
        event = super()._control(pdu)
        if isinstance(pdu, AssociateAccept):
            self._learn(pdu.user_information)
            self.accepted.update((c.id, c) for c in pdu.presentation_contexts if self._holds(c))
        return event

    def _holds(self, answer: AnsweredContext) -> bool:
        """Whether the peer accepted what was proposed; anything else is as good as a refusal."""
        return answer.result is ContextResult.ACCEPTANCE and any(
            answer.id == proposed.id and answer.transfer_syntax in proposed.transfer_syntaxes
            for proposed in self._request.presentation_contexts
        )
