"""A connection to a peer: bytes there and back, each within its time."""

import socket
import time
from collections.abc import Sequence

from shared.upper_layer.writer import MAX_PDU_LENGTH
from workers.scu.errors import ConnectError, in_words
from workers.scu.peer import Peer

Buffer = bytes | memoryview

_BUFFERS_AT_ONCE = 512  # under IOV_MAX of every system
_ANSWER = 16384  # bytes; nothing that a peer has to say is longer, but for an A-ASSOCIATE-AC
_AT_ONCE = 0.001  # seconds, where a deadline has passed: what is there already still counts


class Wire:
    """Plain TCP. An OSError of any method means that nothing more can be said."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def send(self, buffers: Sequence[Buffer], pdu_timeout: float) -> None:
        """The peer may take `pdu_timeout` seconds for as many bytes as the longest PDU has."""
        left = list(buffers)
        deadline, taken = time.monotonic() + pdu_timeout, 0
        while left:
            self._wait_until(deadline)
            sent = self._push(left)
            left = rest_of(left, sent)
            taken += sent
            if taken >= MAX_PDU_LENGTH:
                deadline, taken = time.monotonic() + pdu_timeout, 0

    def receive(self, deadline: float = 0) -> bytes:
        """What comes next, by a time of `time.monotonic`; empty once the peer has closed."""
        # A peer that leaves Nagle's algorithm on holds the end of its answer until its beginning is
        # acknowledged, which the system would put off for 40 ms. It forgets this at each send.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._wait_until(deadline)
        return self._socket.recv(_ANSWER)

    def close(self) -> None:
        self._socket.close()

    def _push(self, buffers: list[Buffer]) -> int:
        """Sends as much as goes at once; how many bytes that was."""
        return self._socket.sendmsg(buffers[:_BUFFERS_AT_ONCE])

    def _wait_until(self, deadline: float) -> None:
        self._socket.settimeout(max(deadline - time.monotonic(), _AT_ONCE))


def connected(peer: Peer, timeout: float) -> socket.socket:
    """A TCP connection, tried for so many seconds at each address that the peer's name has.

    Raises:
        ConnectError: there is none.
    """
    try:
        sock = socket.create_connection((peer.host, peer.port), timeout)
    except (OSError, UnicodeError) as error:  # no host's name may be such that IDNA refuses it
        why = in_words(error) if isinstance(error, OSError) else "no name of a host"
        raise ConnectError(f"no connection to {peer.host}:{peer.port}: {why}") from error
    # A message goes out in one call; Nagle would hold its end against delayed ACKs.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Else the system takes megabytes off our hands, and a slow line is still busy with them when
    # the peer's time to answer is over.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_PDU_LENGTH)
    return sock


def rest_of(buffers: list[Buffer], sent: int) -> list[Buffer]:
    """What remains of the buffers after the first `sent` bytes."""
    for index, buffer in enumerate(buffers):
        if sent < len(buffer):
            return [memoryview(buffer)[sent:], *buffers[index + 1 :]]
        sent -= len(buffer)
    return []
