"""Listening: a thread for each connection, until it is told to drain."""

import errno
import socket
import threading
import time

import structlog

from receiver.association import Association
from receiver.connection import Connection
from receiver.connections import Connections, TooManyConnectionsError
from receiver.opening import Opening
from receiver.services import Services
from receiver.watchdog import Watchdog
from shared.settings.receiving import Receiver

_BACKLOG = 1024
_SHORT_OF_SOMETHING = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_SHORT_WAIT = 0.2  # seconds until what was short may be there again
_POLL = 0.05
_TELL_EVERY = 1.0  # seconds: a flood of connections must not be one of words
_LAST_WAIT = 10.0  # seconds for the threads to roll back

log = structlog.get_logger()


class _Listener:
    """A port that peers connect to."""

    def __init__(self, host: str, port: int, *, tls: bool) -> None:
        self.tls = tls
        self.socket = socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=_BACKLOG,
            dualstack_ipv6=host == "::",
        )
        self.address: tuple[str, int] = self.socket.getsockname()[:2]


class Server:
    """Listens from its creation on, and serves from `start` on.

    Raises (on creation):
        OSError: the address cannot be listened on.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        settings = services.settings.receiver
        self._connections = Connections(self._settings)
        self._opening = Opening(self._settings, self._connections, services.certificates)
        self._told = float("-inf")
        self._closed = threading.Event()
        self._listeners: list[_Listener] = []
        if settings.plain:
            self._listeners.append(_Listener(settings.host, settings.port, tls=False))
        if settings.tls is not None:
            self._listeners.append(_Listener(settings.host, settings.tls.port, tls=True))
        self._accepting = [
            threading.Thread(target=self._accept, args=(each,), name="listener", daemon=True)
            for each in self._listeners
        ]
        self.address = self._listeners[0].address
        self.tls_port = next((each.address[1] for each in self._listeners if each.tls), None)

    def start(self) -> None:
        self._watchdog = Watchdog(self.connections)
        for thread in self._accepting:
            thread.start()

    def connections(self) -> list[Connection]:
        """Those that are open now."""
        return self._connections.all()

    def drain(self) -> None:
        """From here on no association that proposes storage is admitted; open ones go on."""
        self._services.draining.set()

    @property
    def busy(self) -> bool:
        """Whether an association is open, or its data not yet settled."""
        return any(connection.associated for connection in self.connections())

    @property
    def accepting(self) -> bool:
        """Whether connections are still accepted."""
        return all(thread.is_alive() for thread in self._accepting)

    def close(self, words: str) -> None:
        """Ends what is still open by an A-ABORT, and waits until all is rolled back."""
        self._closed.set()
        for listener, thread in zip(self._listeners, self._accepting, strict=True):
            listener.socket.shutdown(socket.SHUT_RDWR)  # wakes accept
            thread.join()
            listener.socket.close()
        deadline = time.monotonic() + _LAST_WAIT
        while (left := self.connections()) and time.monotonic() < deadline:
            for connection in left:
                connection.end(words)
            time.sleep(_POLL)
        if left:
            log.error("associations are stuck and were left", number=len(left))
        self._watchdog.stop()

    def _accept(self, listener: _Listener) -> None:
        while not self._closed.is_set():
            try:
                sock, address = listener.socket.accept()
            except OSError as error:
                # Else the peer was gone before it was accepted, or the listener is being closed.
                if error.errno in _SHORT_OF_SOMETHING:
                    log.error("no connection can be accepted", error=error.strerror)
                    self._closed.wait(_SHORT_WAIT)
                continue
            try:
                self._begin(sock, address[0], listener.tls)
            except (OSError, RuntimeError) as error:  # gone already; no thread to be had
                log.warning("a connection was not served", error=str(error))
                sock.close()

    def _settings(self) -> Receiver:
        """Those in force now."""
        return self._services.settings.receiver

    def _begin(self, sock: socket.socket, peer_address: str, tls: bool) -> None:
        connection = Connection(sock, peer_address, self._settings().pdu_timeout)
        try:
            self._connections.add(connection)
        except TooManyConnectionsError as error:
            self._turn_away(connection, str(error))
            return
        try:
            threading.Thread(target=self._serve, args=(connection, tls), daemon=True).start()
        except RuntimeError:
            self._connections.remove(connection)
            raise

    def _serve(self, connection: Connection, tls: bool) -> None:
        try:
            if self._opening.run(connection, tls=tls):
                Association(self._services, connection).run()
        except TooManyConnectionsError as error:
            self._turn_away(connection, str(error))
        finally:
            self._connections.remove(connection)

    def _turn_away(self, connection: Connection, words: str) -> None:
        """Without a word to the peer, whose A-ASSOCIATE-RQ is not read."""
        connection.drop()
        now = time.monotonic()
        if now - self._told >= _TELL_EVERY:
            self._told = now
            log.warning("connections are refused", reason=words, peer=connection.peer_address)
