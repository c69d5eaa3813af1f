"""One TCP connection: blocking calls, and a deadline that the watchdog holds them to."""

import math
import os
import socket
import ssl
import threading
import time
from contextlib import suppress
from ipaddress import IPv6Address, ip_address

from receiver.certificate_names import names
from receiver.patience import Limit

_LAST_WAIT = 2.0  # seconds for the peer to close after the last PDU
_READS_NOTHING = 1.0  # seconds after its end that a connection may still be sending
_SCRATCH = 4096
_ENDS = (ssl.SSLEOFError, ssl.SSLZeroReturnError)  # as a probe of the port makes


class ConnectionLostError(Exception):
    """The peer closed the connection or it broke: nothing can be said to it any more."""


class ConnectionEndedError(Exception):
    """The connection was ended from our side; the peer may still be told."""


class HandshakeError(Exception):
    """No TLS with this peer; the message is in OpenSSL's words, none of them the peer's."""


class Connection:
    """Used by one thread; `end` may be called by any other."""

    def __init__(self, sock: socket.socket, peer_address: str, send_timeout: float) -> None:
        self.peer_address = _plain(peer_address)
        self.certificate_names: frozenset[str] | None = None  # None: came without TLS
        self.associated = False  # something may be lost with it
        self.closing = False  # the peer may come again for another
        self.deadline = math.inf  # of the call under way, in monotonic time
        self.overdue = ""  # what it means if the deadline passes
        self._socket = sock
        self._send_timeout = send_timeout
        self._sending = False
        self._ended = ""
        self._ended_at = math.inf
        self._closing = threading.Lock()
        # Else a small response waits for the acknowledgement of the one before it (Nagle).
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def receive_into(self, buffer: bytearray, limit: Limit) -> tuple[int, float]:
        """How many bytes came, at least one, and how many seconds they took.

        Raises:
            ConnectionEndedError: by `end`, or because the limit is over.
            ConnectionLostError: by the peer or the network.
        """
        if limit.seconds <= 0:  # with a peer that never lets us wait, the watchdog may not see it
            raise ConnectionEndedError(limit.words)
        began = time.monotonic()
        self.overdue = limit.words
        self.deadline = began + limit.seconds
        try:
            count = self._socket.recv_into(buffer)
        except OSError as error:
            raise ConnectionLostError(_words(error)) from None
        finally:
            self.deadline = math.inf
        if self._ended:
            raise ConnectionEndedError(self._ended)
        if not count:
            raise ConnectionLostError("closed by the peer")
        return count, time.monotonic() - began

    def acknowledge(self) -> None:
        """What came, at once: to be called where no answer is sent that would do it.

        Most senders do not set TCP_NODELAY, and would wait 40 ms for the acknowledgement before
        they send the rest. Linux forgets the option with every delayed acknowledgement.
        """
        with suppress(OSError):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def receive_exactly(self, size: int, limit: Limit) -> bytes:
        """`size` bytes and none of those that follow; the limit is for all of them.

        Raises:
            ConnectionEndedError, ConnectionLostError: as `receive_into`.
        """
        received = bytearray()
        while missing := size - len(received):
            piece = bytearray(missing)
            count, waited = self.receive_into(piece, limit)
            received += piece[:count]
            limit = limit._replace(seconds=limit.seconds - waited)
        return bytes(received)

    def is_relayed_for(self, source: str) -> None:
        """The peer is behind the proxy that made the connection."""
        self.peer_address = _plain(source)

    def secure(self, context: ssl.SSLContext, limit: Limit) -> None:
        """The TLS handshake; from here on everything is sent and received through it.

        Raises:
            ConnectionEndedError, ConnectionLostError: as `receive_into`.
            HandshakeError: the peer does not speak TLS, or not as `context` asks.
        """
        try:
            with self._closing:
                secured = context.wrap_socket(
                    self._socket, server_side=True, do_handshake_on_connect=False
                )
                self._socket = secured
            self.overdue = limit.words
            self.deadline = time.monotonic() + limit.seconds
            secured.do_handshake()
        except OSError as error:
            if self._ended:
                raise ConnectionEndedError(self._ended) from None
            if isinstance(error, ssl.SSLError) and not isinstance(error, _ENDS):
                raise HandshakeError(_words(error)) from None
            raise ConnectionLostError(_words(error)) from None
        finally:
            self.deadline = math.inf
        self.certificate_names = names(secured.getpeercert() or {})

    def send(self, data: bytes) -> None:
        """All of `data`.

        Raises:
            ConnectionLostError: the peer is gone, or does not read.
        """
        self._sending = True
        self.overdue = "the peer does not read"
        self.deadline = time.monotonic() + self._send_timeout
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ConnectionLostError(self._ended or _words(error)) from None
        finally:
            self.deadline = math.inf
            self._sending = False

    def send_last(self, data: bytes) -> None:
        """An A-ABORT or A-ASSOCIATE-RJ: told if the peer still listens, and no waiting for it."""
        with suppress(OSError):
            self._socket.setblocking(False)
            try:
                self._socket.send(data)
            finally:
                self._socket.setblocking(True)

    def end(self, words: str) -> None:
        """Wakes the thread that waits for the peer; `words` say why.

        Called again a while later, it wakes one that still sends to a peer that reads nothing.
        """
        with self._closing:
            if self._socket.fileno() != -1:
                now = time.monotonic()
                self._ended = self._ended or words
                self._ended_at = min(self._ended_at, now)
                # A response that is being sent may get there, unless that takes too long already;
                # and a peer that we wait for may still be told of the end.
                late = self.deadline < now or now - self._ended_at > _READS_NOTHING
                stuck = self._sending and late
                with suppress(OSError):
                    self._shutdown(socket.SHUT_RDWR if stuck else socket.SHUT_RD)

    def close(self) -> None:
        """Waits shortly for the peer to close first (PS3.8 Sta13).

        Closing while bytes are unread makes TCP reset the connection, and a reset may destroy the
        last PDU before the peer has read it.
        """
        self.closing = True
        self.overdue = "not closed by the peer"
        self.deadline = time.monotonic() + _LAST_WAIT
        with suppress(OSError):
            if isinstance(self._socket, ssl.SSLSocket):
                _say_no_more(self._socket)
            self._shutdown(socket.SHUT_WR)
            while socket.socket.recv(self._socket, _SCRATCH) and time.monotonic() < self.deadline:
                pass
        self.drop()

    def drop(self) -> None:
        """Closes at once: nothing has been said that could be lost."""
        self.closing = True
        with self._closing:
            self._socket.close()

    def _shutdown(self, how: int) -> None:
        # An SSLSocket's own would leave TLS behind: what is sent after it would be plain text.
        socket.socket.shutdown(self._socket, how)


def _say_no_more(secured: ssl.SSLSocket) -> None:
    """Sends TLS's `close_notify`; the peer's own is not waited for."""
    secured.setblocking(False)
    with suppress(OSError, ValueError):  # it would wait; there has been no handshake
        secured.unwrap()
    secured.setblocking(True)


def _plain(address: str) -> str:
    """An IPv4 address as such, also where it came through an IPv6 socket (RFC 4291 2.5.5.2)."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return address


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError):  # its number is none of the system's
        return (error.reason or type(error).__name__).replace("_", " ").lower()
    return os.strerror(error.errno) if error.errno else type(error).__name__
