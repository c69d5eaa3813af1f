"""The SCU: one association as requestor, blocking, synchronous, with a deadline on every wait."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from shared.certificate_files import CertificateFileError
from shared.part10 import FileMeta
from shared.sop_classes import VERIFICATION
from shared.upper_layer.associate import AssociateRequest
from shared.upper_layer.association import Requestor
from shared.upper_layer.c_services import EchoRequest, EchoResponse, StoreRequest, StoreResponse
from shared.upper_layer.dimse import Message, Request, Response
from shared.upper_layer.events import (
    AssociateAccepted,
    AssociateRejected,
    Event,
    MessageReceived,
    ReleaseConfirmed,
)
from shared.upper_layer.presentation_context import ProposedContext
from shared.upper_layer.user_information import UserInformation
from workers.scu.content import Content, Contents
from workers.scu.contexts import IMPLICIT_VR_LITTLE_ENDIAN
from workers.scu.errors import AssociationLostError, NotAcceptedError, RejectedError, TlsError
from workers.scu.exchange import Exchange, out_of_turn
from workers.scu.peer import Caller, Peer
from workers.scu.tls import client_context, secured
from workers.scu.wire import Wire, connected

File = tuple[Path, FileMeta]


@contextmanager
def associate(
    peer: Peer, caller: Caller, contexts: Sequence[ProposedContext]
) -> "Iterator[ScuAssociation]":
    """An association for the time of the block: released at its end, aborted on an error.

    Raises:
        ConnectError, TlsError, RejectedError, AssociationLostError: there is no association (any
            more).
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
    wire, deadline = _open(peer, caller)
    with closing(wire), closing(ScuAssociation(wire, request, caller)) as association:
        try:
            association.negotiate(deadline)
            yield association
            association.release()
        except BaseException:  # a release would have the peer believe that all is sent
            association.abort()
            raise


def _open(peer: Peer, caller: Caller) -> tuple[Wire, float]:
    """A connection, and the time by which there must be an association on it."""
    try:
        context = None if peer.tls is None else client_context(peer.tls)
    except CertificateFileError as error:
        raise TlsError(str(error)) from error
    sock = connected(peer, caller.connect_timeout)
    deadline = time.monotonic() + caller.association_timeout
    return Wire(sock) if context is None else secured(sock, peer, context, deadline), deadline


class ScuAssociation:
    """An association under way; made by `associate`.

    After half a message, or one that was not answered, nothing more can be sent on it.
    """

    def __init__(self, wire: Wire, request: AssociateRequest, caller: Caller) -> None:
        self._caller = caller
        self._protocol = Requestor(request)
        self._exchange = Exchange(wire, self._protocol, caller.pdu_timeout)
        self._contents = Contents()
        self._message_ids = count(1)
        self._answered = True
        self._contexts = {
            (context.abstract_syntax, context.transfer_syntaxes[0]): context.id
            for context in request.presentation_contexts
        }

    def negotiate(self, deadline: float) -> None:
        """Asks for the association, which must be there at a time of `time.monotonic`."""
        self._exchange.send([self._protocol.associate()])
        match self._exchange.event(deadline):
            case AssociateAccepted():
                return
            case AssociateRejected(reject):
                raise RejectedError(reject)
            case event:
                raise out_of_turn(event)

    def accepts(self, meta: FileMeta) -> bool:
        return self._context(meta) in self._protocol.accepted

    def store(self, path: Path, meta: FileMeta, following: File | None = None) -> StoreResponse:
        """Sends an instance as it stands in the file and returns the peer's answer.

        While the peer is at it, the file that is to follow is opened and its beginning read.

        Raises:
            NotAcceptedError: there is no context for it; nothing was sent.
            AssociationLostError: it is not known whether the peer has it.
            OSError: the file cannot be read; where some of it was sent, all that can follow is
                the association's end.
        """
        if not self.accepts(meta):
            raise NotAcceptedError(
                f"not accepted: SOP class {meta.sop_class_uid}"
                f" in transfer syntax {meta.transfer_syntax_uid}"
            )
        request = StoreRequest(self.message_id(), meta.sop_class_uid, meta.sop_instance_uid)
        # What cannot be read is not begun.
        with closing(self._contents.open(path, meta.data_set_offset)) as content:
            self._send_with(self._context(meta), request, content)
        if following is not None:
            self._contents.read_ahead(following[0], following[1].data_set_offset)
        response = self._response_to(request.message_id)
        if not isinstance(response, StoreResponse):
            raise AssociationLostError("the answer to a C-STORE was not a C-STORE response")
        return response

    def echo(self) -> int | None:
        """Sends a C-ECHO and returns the status of the answer."""
        request = EchoRequest(self.message_id())
        context_id = self._contexts[VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN]
        if context_id not in self._protocol.accepted:
            raise NotAcceptedError("the peer does not accept Verification")
        self._exchange.send([self._command(context_id, request)])
        response = self._response_to(request.message_id)
        if not isinstance(response, EchoResponse):
            raise AssociationLostError("the answer to a C-ECHO was not a C-ECHO response")
        return response.status

    def context(self, abstract_syntax: str, transfer_syntax: str) -> int:
        """
        Raises:
            NotAcceptedError: the peer did not accept it.
        """
        context_id = self._contexts[abstract_syntax, transfer_syntax]
        if context_id not in self._protocol.accepted:
            raise NotAcceptedError(f"not accepted: {abstract_syntax} in {transfer_syntax}")
        return context_id

    def request(self, context_id: int, message: Request, data_set: bytes) -> None:
        """Sends a message whose answer is for the caller to take, by `event`."""
        command = self._command(context_id, message)
        data = self._protocol.data_pdus(context_id, memoryview(data_set), True)
        self._exchange.send([command, *data])

    def respond(self, context_id: int, message: Response) -> None:
        self._exchange.send([self._protocol.respond(context_id, message)])

    def event(self, seconds: float | None = None) -> Event:
        """What the peer says next, within the response timeout unless told.

        Raises:
            SilentError: it says nothing; the association is as good as before.
            AssociationLostError: it is gone.
        """
        timeout = self._caller.response_timeout if seconds is None else seconds
        event = self._exchange.event(time.monotonic() + timeout)
        if isinstance(event, MessageReceived) and isinstance(event.message, Response):
            self._answered = True
        return event

    def release(self) -> None:
        self._check_answered()
        self._exchange.send([self._protocol.release()])
        event = self._exchange.event(self._response_deadline())
        if not isinstance(event, ReleaseConfirmed):
            raise out_of_turn(event)

    def abort(self) -> None:
        """Ends the association; nothing is waited for, and a peer that is gone is no error."""
        self._exchange.abort()

    def close(self) -> None:
        """Lets go of a file that was to follow."""
        self._contents.close()

    def _context(self, meta: FileMeta) -> int:
        return self._contexts.get((meta.sop_class_uid, meta.transfer_syntax_uid), 0)

    def message_id(self) -> int:
        return next(self._message_ids) % 0xFFFF  # US, PS3.7 E.1

    def _send_with(self, context_id: int, request: StoreRequest, content: Content) -> None:
        command = self._command(context_id, request)
        data = self._protocol.data_pdus(context_id, content.piece, content.is_last)
        self._exchange.send([command, *data])
        while not content.is_last:
            content.read_on()
            data = self._protocol.data_pdus(context_id, content.piece, content.is_last)
            self._exchange.send(data)

    def _command(self, context_id: int, request: Request) -> bytes:
        """The message is under way from here on."""
        self._check_answered()
        self._answered = False
        return self._protocol.send_command(context_id, request)

    def _check_answered(self) -> None:
        if not self._answered:
            raise AssociationLostError("the message before was not sent whole, or not answered")

    def _response_to(self, message_id: int) -> Message:
        event = self._exchange.event(self._response_deadline())
        if not isinstance(event, MessageReceived):
            raise out_of_turn(event)
        message = event.message
        if getattr(message, "message_id_responded_to", None) != message_id:
            raise AssociationLostError("the peer answered another message than was sent")
        self._answered = True
        return message

    def _response_deadline(self) -> float:
        return time.monotonic() + self._caller.response_timeout
