"""What a connection goes through before its first PDU: whose it is must be certain by then."""

import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network

import structlog

from receiver.certificates import Certificates
from receiver.connection import (
    Connection,
    ConnectionEndedError,
    ConnectionLostError,
    HandshakeError,
)
from receiver.connections import Connections
from receiver.patience import Limit
from receiver.proxy_header import PREFIX_SIZE, ProxyHeaderError, rest_length, source_address
from shared.settings.receiving import Receiver

log = structlog.get_logger()


def is_proxy(address: str, proxy_from: Iterable[str]) -> bool:
    """Whether connections from there begin with a PROXY protocol header."""
    return any(ip_address(address) in ip_network(network) for network in proxy_from)


class Opening:
    """All of it has the time of one ARTIM, and happens in the connection's own thread."""

    def __init__(
        self,
        settings: Callable[[], Receiver],
        connections: Connections,
        certificates: Certificates | None,
    ) -> None:
        self._settings = settings  # those in force at the moment
        self._connections = connections
        self._certificates = certificates

    def run(self, connection: Connection, *, tls: bool) -> bool:
        """Whether PDUs may follow; else the connection is closed, and the log says why.

        Raises:
            TooManyConnectionsError: from the peer's address.
        """
        settings = self._settings()
        deadline = time.monotonic() + settings.artim_timeout
        try:
            if is_proxy(connection.peer_address, settings.proxy_from):
                self._take_proxy_header(connection, deadline)
            self._connections.claim_address(connection)
            if tls:
                self._begin_tls(connection, deadline)
        except ProxyHeaderError as error:
            log.warning("a proxy is misunderstood", proxy=connection.peer_address, fault=str(error))
        except HandshakeError as error:
            log.warning("no TLS with a peer", peer=connection.peer_address, reason=str(error))
            connection.close()  # it is to read the alert that says the same
        except (ConnectionLostError, ConnectionEndedError) as error:  # a probe of the port, say
            log.debug("connection ended", peer=connection.peer_address, reason=str(error))
        else:
            return True
        connection.drop()
        return False

    def _begin_tls(self, connection: Connection, deadline: float) -> None:
        assert self._certificates is not None
        limit = Limit(deadline - time.monotonic(), "no TLS handshake in time")
        connection.secure(self._certificates.context, limit)

    def _take_proxy_header(self, connection: Connection, deadline: float) -> None:
        def receive(size: int) -> bytes:
            limit = Limit(deadline - time.monotonic(), "no PROXY protocol header in time")
            return connection.receive_exactly(size, limit)

        prefix = receive(PREFIX_SIZE)
        source = source_address(prefix, receive(rest_length(prefix)))
        if source is not None:
            connection.is_relayed_for(source)
