"""A peer that is called, free to misbehave: our upper layer on a plain socket, by a script."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from shared.upper_layer.associate import AssociateRequest
from shared.upper_layer.association import Acceptor
from shared.upper_layer.c_services import EchoRequest, EchoResponse, StoreRequest, StoreResponse
from shared.upper_layer.events import (
    AssociateRequested,
    DataEnded,
    DataFragment,
    Event,
    MessageReceived,
    ReleaseRequested,
)
from shared.upper_layer.presentation_context import AnsweredContext, ContextResult
from shared.upper_layer.user_information import UserInformation

_Event = TypeVar("_Event", bound=Event)


class Connection:
    """The peer's end of one connection; every wait ends after 15 seconds."""

    def __init__(self, sock: socket.socket, max_pdu_length: int, over: threading.Event) -> None:
        self.socket = sock
        self._over = over
        self.socket.settimeout(15)
        self.acceptor = Acceptor(max_pdu_length)
        self._events: list[Event] = []

    def event(self) -> Event:
        """The next thing that the caller says; `EOFError` at the end of the connection."""
        while not self._events:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            for event in self.acceptor.receive(data):
                if isinstance(event, DataFragment):
                    event = DataFragment(memoryview(bytes(event.payload)))
                self._events.append(event)
        return self._events.pop(0)

    def expect(self, kind: type[_Event]) -> _Event:
        event = self.event()
        assert isinstance(event, kind), event
        return event

    def requested(self) -> AssociateRequest:
        return self.expect(AssociateRequested).request

    def accept(self, *, refused: tuple[str, ...] = ()) -> AssociateRequest:
        """Takes every context, but for SOP classes that are `refused`."""
        request = self.requested()
        contexts = tuple(
            AnsweredContext(
                context.id,
                ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
                if context.abstract_syntax in refused
                else ContextResult.ACCEPTANCE,
                context.transfer_syntaxes[0],
            )
            for context in request.presentation_contexts
        )
        information = UserInformation(0, "1.2.3.4", "RAW PEER")
        self.socket.sendall(self.acceptor.accept(contexts, information))
        return request

    def reject(self, result: int, source: int, reason: int) -> None:
        self.requested()
        self.socket.sendall(self.acceptor.reject(result, source, reason))

    def stored(self) -> tuple[StoreRequest, bytes]:
        """The next C-STORE, whole."""
        message = self.expect(MessageReceived).message
        assert isinstance(message, StoreRequest)
        return message, b"".join(self.fragments())

    def fragments(self) -> Iterator[memoryview]:
        """What is left of the data set under way."""
        while not isinstance(event := self.event(), DataEnded):
            assert isinstance(event, DataFragment)
            yield event.payload

    def respond(self, request: StoreRequest, status: int | None, *, to: int | None = None) -> None:
        message_id = request.message_id if to is None else to
        response = StoreResponse(
            message_id, request.sop_class_uid, request.sop_instance_uid, status
        )
        self.socket.sendall(self.acceptor.respond(next(iter(self.acceptor.accepted)), response))

    def echo(self, status: int = 0) -> None:
        message = self.expect(MessageReceived).message
        assert isinstance(message, EchoRequest)
        context_id = next(iter(self.acceptor.accepted))
        response = EchoResponse(message.message_id, status)
        self.socket.sendall(self.acceptor.respond(context_id, response))

    def release(self) -> None:
        self.expect(ReleaseRequested)
        self.socket.sendall(self.acceptor.release_response())

    def abort(self, source: int = 0, reason: int = 0) -> None:
        self.socket.sendall(self.acceptor.abort(source, reason))

    def reset(self) -> None:
        """Ends the connection by a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def be_silent(self) -> None:
        """Says nothing and reads nothing, until the test is over."""
        self._over.wait(30)

    def drain(self) -> None:
        """Reads on until the caller has closed."""
        while self.socket.recv(1 << 20):
            pass


class RawScp:
    """Listens on the loopback; `script` is run for each connection, and then it is closed.

    With `tls` it is run after the handshake; one that fails is no fault.
    """

    def __init__(
        self,
        script: Callable[[Connection], None],
        *,
        max_pdu_length: int = 16384,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._script = script
        self._max_pdu_length = max_pdu_length
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.faults: list[BaseException] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "RawScp":
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Once its caller is through; what its script did not expect is the test's fault."""
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(15)
        if kind is None and self.faults:
            raise self.faults[0]

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self._tls is not None:
                try:
                    sock = self._tls.wrap_socket(sock, server_side=True)
                except OSError:
                    sock.close()
                    continue
            with sock:
                try:
                    self._script(Connection(sock, self._max_pdu_length, self._over))
                except BaseException as fault:  # noqa: BLE001 - raised where the test ends
                    self.faults.append(fault)
