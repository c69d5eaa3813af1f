"""A connection to a peer: bytes there and back, each within its time."""

import math
import socket
import time
from collections.abc import Sequence
from struct import Struct

from shared.upper_layer.writer import MAX_PDU_LENGTH
from workers.scu.errors import ConnectError, in_words
from workers.scu.peer import Peer

Buffer = bytes | memoryview

_BUFFERS_AT_ONCE = 512  # under IOV_MAX of every system
ANSWER = 16384  # bytes; nothing that a peer has to say is longer, but for an A-ASSOCIATE-AC
_AT_ONCE = 0.001  # seconds, where a deadline has passed: what is there already still counts
_TIMEVAL = Struct("ll")  # seconds and microseconds
_TIMED_OUT = "timed out"


class Wire:
    """Plain TCP. An OSError of any method means that nothing more can be said.

    The system itself waits and counts the time: Python's own timeouts cost two calls more each.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(None)
        self._socket = sock
        self._heard = False  # since the last send
        self._limits = dict.fromkeys((socket.SO_SNDTIMEO, socket.SO_RCVTIMEO), 0)  # milliseconds

    def send(self, buffers: Sequence[Buffer], pdu_timeout: float) -> None:
        """The peer may take `pdu_timeout` seconds for as many bytes as the longest PDU has."""
        self._heard = False
        left = list(buffers)
        deadline, taken = time.monotonic() + pdu_timeout, 0
        while left:
            sent = self._push(left, _seconds_until(deadline))
            left = rest_of(left, sent)
            taken += sent
            if taken >= MAX_PDU_LENGTH:
                deadline, taken = time.monotonic() + pdu_timeout, 0

    def receive(self, deadline: float = 0) -> bytes:
        """What comes next, by a time of `time.monotonic`; empty once the peer has closed."""
        if self._heard:
            # A peer that leaves Nagle's algorithm on holds the end of its answer until its
            # beginning is acknowledged, which the system would put off for 40 ms.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._heard = True
        return self._pull(_seconds_until(deadline))

    def close(self) -> None:
        self._socket.close()

    def _push(self, buffers: list[Buffer], seconds: float) -> int:
        """Sends as much as goes in this time; how many bytes that was, if any."""
        self._limit(socket.SO_SNDTIMEO, seconds)
        try:
            return self._socket.sendmsg(buffers[:_BUFFERS_AT_ONCE])
        except BlockingIOError:
            raise TimeoutError(_TIMED_OUT) from None

    def _pull(self, seconds: float) -> bytes:
        self._limit(socket.SO_RCVTIMEO, seconds)
        try:
            return self._socket.recv(ANSWER)
        except BlockingIOError:
            raise TimeoutError(_TIMED_OUT) from None

    def _limit(self, option: int, seconds: float) -> None:
        milliseconds = math.ceil(seconds * 1000)
        if milliseconds != self._limits[option]:
            self._limits[option] = milliseconds
            timeval = _TIMEVAL.pack(milliseconds // 1000, milliseconds % 1000 * 1000)
            self._socket.setsockopt(socket.SOL_SOCKET, option, timeval)


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


def _seconds_until(deadline: float) -> float:
    return max(deadline - time.monotonic(), _AT_ONCE)
