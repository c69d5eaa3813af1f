"""A raw peer: our upper layer on a plain socket, free to misbehave."""

import socket
import ssl
import struct
from collections.abc import Sequence
from typing import TypeVar

from shared.upper_layer.associate import AssociateAccept, AssociateRequest
from shared.upper_layer.association import Requestor
from shared.upper_layer.c_services import EchoRequest, EchoResponse, StoreRequest, StoreResponse
from shared.upper_layer.dimse import Request
from shared.upper_layer.events import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    Event,
    MessageReceived,
    ReleaseConfirmed,
)
from shared.upper_layer.presentation_context import ProposedContext
from shared.upper_layer.user_information import RoleSelection, UserInformation
from tests.support.samples import CT, EXPLICIT, VERIFICATION

STORAGE_CONTEXT = ProposedContext(1, CT, (EXPLICIT,))
ECHO_CONTEXT = ProposedContext(3, VERIFICATION, (EXPLICIT,))

_Event = TypeVar("_Event", bound=Event)


class Scu:
    """Blocking; every call fails after `timeout` seconds."""

    def __init__(
        self,
        address: tuple[str, int],
        timeout: float = 15,
        source: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        preface: bytes = b"",
    ) -> None:
        self.socket = socket.create_connection(address, timeout, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(preface)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=address[0])
        self._requestor: Requestor | None = None
        self._events: list[Event] = []
        self._message_id = 0

    def request(
        self,
        *,
        called: str = "BRAIN",
        calling: str = "CT01",
        contexts: Sequence[ProposedContext] = (STORAGE_CONTEXT, ECHO_CONTEXT),
        application_context: str = "1.2.840.10008.3.1.1.1",
        protocol_version: int = 1,
        roles: Sequence[RoleSelection] = (),
    ) -> Event:
        """The answer to an A-ASSOCIATE-RQ, whichever it is."""
        request = AssociateRequest(
            called,
            calling,
            tuple(contexts),
            UserInformation(16384, "1.2.3.4", "RAW PEER", role_selections=tuple(roles)),
            application_context,
            protocol_version,
        )
        self._requestor = Requestor(request)
        self.socket.sendall(self.requestor.associate())
        return self.event()

    def associate(
        self,
        *,
        called: str = "BRAIN",
        calling: str = "CT01",
        contexts: Sequence[ProposedContext] = (STORAGE_CONTEXT, ECHO_CONTEXT),
        roles: Sequence[RoleSelection] = (),
    ) -> AssociateAccept:
        answer = self.request(called=called, calling=calling, contexts=contexts, roles=roles)
        assert isinstance(answer, AssociateAccepted), answer
        return answer.accept

    def rejection(self, **request: object) -> tuple[int, int, int]:
        """The codes of the A-ASSOCIATE-RJ that a request meets, after which nothing comes."""
        answer = self.request(**request)
        assert isinstance(answer, AssociateRejected), answer
        assert self.rest() == b""
        return answer.reject.result, answer.reject.source, answer.reject.reason

    @property
    def requestor(self) -> Requestor:
        assert self._requestor is not None
        return self._requestor

    def event(self) -> Event:
        """The next thing that the receiver says."""
        while not self._events:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("closed by the receiver")
            self._events = list(self.requestor.receive(data))
        return self._events.pop(0)

    def expect(self, kind: type[_Event]) -> _Event:
        event = self.event()
        assert isinstance(event, kind), event
        return event

    def rest(self) -> bytes:
        """All bytes up to the end of the connection."""
        received = b""
        try:
            while data := self.socket.recv(65536):
                received += data
        except ConnectionResetError:
            pass
        return received

    def command(self, context_id: int, message: Request) -> None:
        self.socket.sendall(self.requestor.send_command(context_id, message))

    def data(self, context_id: int, data: bytes, *, last: bool = True) -> None:
        pdus = self.requestor.data_pdus(context_id, memoryview(data), last)
        self.socket.sendall(b"".join(pdus))

    def store_request(self, uid: str, sop_class: str = CT) -> StoreRequest:
        self._message_id = self._message_id % 0xFFFF + 1
        return StoreRequest(self._message_id, sop_class, uid)

    def store(
        self, uid: str, data: bytes, *, sop_class: str = CT, context_id: int = 1
    ) -> StoreResponse:
        request = self.store_request(uid, sop_class)
        self.command(context_id, request)
        self.data(context_id, data)
        response = self.expect(MessageReceived).message
        assert isinstance(response, StoreResponse)
        assert response.message_id_responded_to == request.message_id
        return response

    def echo(self, context_id: int = 3) -> int | None:
        self.command(context_id, EchoRequest(7))
        response = self.expect(MessageReceived).message
        assert isinstance(response, EchoResponse)
        return response.status

    def release(self) -> None:
        self.ask_release()
        self.expect(ReleaseConfirmed)
        self.close()

    def ask_release(self) -> None:
        self.socket.sendall(self.requestor.release())

    def abort(self) -> None:
        self.socket.sendall(self.requestor.abort(0))
        self.close()

    def reset(self) -> None:
        """Ends the connection by a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def aborted(self) -> tuple[int, int]:
        """Source and reason of the A-ABORT that must come next, with the end after it."""
        event = self.expect(Aborted)
        assert self.rest() == b""
        return event.source, event.reason

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "Scu":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
