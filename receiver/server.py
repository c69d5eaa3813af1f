"""Listening: a thread for each connection, until it is told to drain."""

import errno
import socket
import threading
import time

import structlog

from receiver.association import Association
from receiver.connection import Connection
from receiver.services import Services
from receiver.watchdog import Watchdog

_BACKLOG = 1024
_NOT_ASSOCIATED = 1024  # connections beyond the association limit
_SHORT_OF_SOMETHING = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_SHORT_WAIT = 0.2  # seconds until what was short may be there again
_POLL = 0.05
_LAST_WAIT = 10.0  # seconds for the threads to roll back

log = structlog.get_logger()


class Server:
    """Listens from its creation on, and serves from `start` on.

    Raises (on creation):
        OSError: the address cannot be listened on.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        settings = services.settings.receiver
        self._send_timeout = settings.pdu_timeout
        self._most_connections = settings.max_associations + _NOT_ASSOCIATED
        self._connections: set[Connection] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._listener = socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
            backlog=_BACKLOG,
            dualstack_ipv6=settings.host == "::",
        )
        self.address: tuple[str, int] = self._listener.getsockname()[:2]

    def start(self) -> None:
        self._watchdog = Watchdog(self.connections)
        self._accepting = threading.Thread(target=self._accept, name="listener", daemon=True)
        self._accepting.start()

    def connections(self) -> list[Connection]:
        """Those that are open now."""
        with self._lock:
            return list(self._connections)

    def drain(self) -> None:
        """From here on no association that proposes storage is admitted; open ones go on."""
        self._services.draining.set()

    @property
    def busy(self) -> bool:
        """Whether an association is open, or its data not yet settled."""
        return any(connection.associated for connection in self.connections())

    def close(self, words: str) -> None:
        """Ends what is still open by an A-ABORT, and waits until all is rolled back."""
        self._closed.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._accepting.join()
        self._listener.close()
        deadline = time.monotonic() + _LAST_WAIT
        while (left := self.connections()) and time.monotonic() < deadline:
            for connection in left:
                connection.end(words)
            time.sleep(_POLL)
        if left:
            log.error("associations are stuck and were left", number=len(left))
        self._watchdog.stop()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                sock, address = self._listener.accept()
            except OSError as error:
                # Else the peer was gone before it was accepted, or the listener is being closed.
                if error.errno in _SHORT_OF_SOMETHING:
                    log.error("no connection can be accepted", error=error.strerror)
                    self._closed.wait(_SHORT_WAIT)
                continue
            try:
                self._begin(sock, address[0])
            except (OSError, RuntimeError) as error:  # gone already; no thread to be had
                log.warning("a connection was not served", error=str(error))
                sock.close()

    def _begin(self, sock: socket.socket, peer_address: str) -> None:
        connection = Connection(sock, peer_address, self._send_timeout)
        with self._lock:
            if len(self._connections) >= self._most_connections:
                raise RuntimeError("too many connections")
            self._connections.add(connection)
        try:
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
        except RuntimeError:
            self._forget(connection)
            raise

    def _serve(self, connection: Connection) -> None:
        try:
            Association(self._services, connection).run()
        finally:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        with self._lock:
            self._connections.discard(connection)
