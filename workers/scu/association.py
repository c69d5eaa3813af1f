"""The SCU: one association as requestor, blocking, synchronous, with a deadline on every wait."""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from shared.part10 import FileMeta
from shared.sop_classes import VERIFICATION
from shared.upper_layer.association import Requestor
from shared.upper_layer.dimse import EchoRequest, EchoResponse, Message, StoreRequest, StoreResponse
from shared.upper_layer.errors import AbortSource, ProtocolError
from shared.upper_layer.events import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    Event,
    MessageReceived,
    ReleaseConfirmed,
)
from shared.upper_layer.pdu import Abort, AssociateRequest, ProposedContext
from shared.upper_layer.state import State
from shared.upper_layer.user_information import UserInformation
from workers.scu.content import mapped, rest_of
from workers.scu.contexts import IMPLICIT_VR_LITTLE_ENDIAN
from workers.scu.errors import (
    AssociationLostError,
    ConnectError,
    NotAcceptedError,
    RejectedError,
    in_words,
)
from workers.scu.peer import Caller, Peer

_BUFFERS_AT_ONCE = 512  # under IOV_MAX of every system
_WINDOW = 8 << 20  # bytes of a data set handed down at once; even, PS3.8 E.1


@contextmanager
def associate(
    peer: Peer, caller: Caller, contexts: Sequence[ProposedContext]
) -> "Iterator[ScuAssociation]":
    """An association for the time of the block: released at its end, aborted on an error.

    Raises:
        ConnectError, RejectedError, AssociationLostError: there is no association (any more).
    """
    request = AssociateRequest(
        peer.ae_title,
        caller.ae_title,
        tuple(contexts),
        UserInformation(
            caller.max_pdu_length,
            caller.implementation_class_uid,
            caller.implementation_version_name,
        ),
    )
    try:
        sock = socket.create_connection((peer.host, peer.port), timeout=caller.connect_timeout)
    except OSError as error:
        raise ConnectError(
            f"no connection to {peer.host}:{peer.port}: {in_words(error)}"
        ) from error
    with sock:
        # Headers and data go out in one call each; Nagle would hold them against delayed ACKs.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        association = ScuAssociation(sock, request, caller.response_timeout)
        try:
            association.negotiate()
            yield association
            association.release()
        except BaseException:  # a release would have the peer believe that all is sent
            association.abort()
            raise


class ScuAssociation:
    """An association under way; made by `associate`."""

    def __init__(self, sock: socket.socket, request: AssociateRequest, timeout: float) -> None:
        self._socket = sock
        self._timeout = timeout
        self._protocol = Requestor(request)
        self._events: Iterator[Event] = iter(())
        self._message_ids = count(1)
        self._contexts = {
            (context.abstract_syntax, context.transfer_syntaxes[0]): context.id
            for context in request.presentation_contexts
        }

    def negotiate(self) -> None:
        self._send([self._protocol.associate()])
        match self._next_event():
            case AssociateAccepted():
                return
            case AssociateRejected(reject):
                raise RejectedError(reject)
            case event:
                raise _unexpected(event)

    def accepts(self, meta: FileMeta) -> bool:
        return self._context(meta) in self._protocol.accepted

    def store(self, path: Path, meta: FileMeta) -> StoreResponse:
        """Sends an instance as it stands in the file and returns the peer's answer.

        Raises:
            NotAcceptedError: there is no context for it; nothing was sent.
            AssociationLostError: it is not known whether the peer has it.
            OSError: the file cannot be read.
        """
        if not self.accepts(meta):
            raise NotAcceptedError(
                f"not accepted: SOP class {meta.sop_class_uid}"
                f" in transfer syntax {meta.transfer_syntax_uid}"
            )
        request = StoreRequest(self._message_id(), meta.sop_class_uid, meta.sop_instance_uid)
        context_id = self._context(meta)
        with mapped(path) as content, content[meta.data_set_offset :] as data_set:
            self._send([self._protocol.send_command(context_id, request)])
            self._send_data_set(context_id, data_set)
        response = self._response_to(request.message_id)
        if not isinstance(response, StoreResponse):
            raise AssociationLostError("the answer to a C-STORE was not a C-STORE response")
        return response

    def echo(self) -> int | None:
        """Sends a C-ECHO and returns the status of the answer."""
        request = EchoRequest(self._message_id())
        context_id = self._contexts[VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN]
        if context_id not in self._protocol.accepted:
            raise NotAcceptedError("the peer does not accept Verification")
        self._send([self._protocol.send_command(context_id, request)])
        response = self._response_to(request.message_id)
        if not isinstance(response, EchoResponse):
            raise AssociationLostError("the answer to a C-ECHO was not a C-ECHO response")
        return response.status

    def release(self) -> None:
        self._send([self._protocol.release()])
        event = self._next_event()
        if not isinstance(event, ReleaseConfirmed):
            raise _unexpected(event)

    def abort(self) -> None:
        """Ends the association; nothing is waited for, and a peer that is gone is no error."""
        if self._protocol.state in (State.AWAITING_CLOSE, State.AWAITING_LOCAL_REQUEST):
            return
        try:
            self._socket.settimeout(1)
            self._socket.sendall(self._protocol.abort(AbortSource.SERVICE_USER, 0))
        except OSError:
            return

    def _context(self, meta: FileMeta) -> int:
        return self._contexts.get((meta.sop_class_uid, meta.transfer_syntax_uid), 0)

    def _message_id(self) -> int:
        return next(self._message_ids) % 0xFFFF  # US, PS3.7 E.1

    def _send_data_set(self, context_id: int, data_set: memoryview) -> None:
        size = len(data_set)
        for start in range(0, size or 1, _WINDOW):
            with data_set[start : start + _WINDOW] as window:
                last = start + _WINDOW >= size
                buffers = self._protocol.data_pdus(context_id, window, last)
                for first in range(0, len(buffers), _BUFFERS_AT_ONCE):
                    self._send(buffers[first : first + _BUFFERS_AT_ONCE])
                for buffer in buffers:
                    if isinstance(buffer, memoryview):
                        buffer.release()

    def _send(self, buffers: list[bytes | memoryview]) -> None:
        self._socket.settimeout(self._timeout)
        try:
            while buffers:
                sent = self._socket.sendmsg(buffers)
                buffers = rest_of(buffers, sent)
        except OSError as error:
            raise AssociationLostError(f"sending failed: {in_words(error)}") from error

    def _response_to(self, message_id: int) -> Message:
        event = self._next_event()
        if not isinstance(event, MessageReceived):
            raise _unexpected(event)
        message = event.message
        if getattr(message, "message_id_responded_to", None) != message_id:
            raise AssociationLostError("the peer answered another message than was sent")
        return message

    def _next_event(self) -> Event:
        deadline = time.monotonic() + self._timeout
        try:
            while (event := next(self._events, None)) is None:
                self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
                data = self._socket.recv(65536)
                if not data:
                    raise AssociationLostError("the peer closed the connection")
                self._events = self._protocol.receive(data)
        except ProtocolError as error:
            raise AssociationLostError(f"the peer broke the protocol: {error}") from error
        except OSError as error:
            raise AssociationLostError(f"no answer: {in_words(error)}") from error
        return event


def _unexpected(event: Event) -> AssociationLostError:
    if isinstance(event, Aborted):
        return AssociationLostError(Abort(event.source, event.reason).describe())
    return AssociationLostError(f"the peer sent {type(event).__name__} out of turn")
