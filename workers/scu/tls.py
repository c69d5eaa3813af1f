"""TLS towards a peer (PS3.15 B.12): its certificate is checked, and ours shown if we have one."""

import socket
import ssl
import time
from collections.abc import Sequence

from shared.certificate_files import load_own, load_trusted, restricted
from shared.settings.tls import DestinationTls
from workers.scu.errors import TlsError, in_words
from workers.scu.peer import Peer
from workers.scu.wire import ANSWER, Buffer, Wire


class TlsWire(Wire):
    """The same with TLS."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__(sock)

    def send(self, buffers: Sequence[Buffer], pdu_timeout: float) -> None:
        super().send([b"".join(buffers)], pdu_timeout)  # else each would be a record of its own

    def _push(self, buffers: list[Buffer], seconds: float) -> int:
        self._socket.settimeout(seconds)
        return self._socket.send(buffers[0])

    def _pull(self, seconds: float) -> bytes:
        self._socket.settimeout(seconds)
        return self._socket.recv(ANSWER)


def client_context(tls: DestinationTls, section: str = "tls") -> ssl.SSLContext:
    """From the files as they are now; `section` is where the settings name them.

    Raises:
        CertificateFileError: one of them cannot be used.
    """
    context = restricted(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls.verify_host_name
    if tls.ca is None:
        context.load_default_certs()
    else:
        load_trusted(context, f"{section}.ca", tls.ca)
    if tls.certificate is not None and tls.key is not None:
        load_own(context, section, tls.certificate, tls.key)
    return context


def secured(sock: socket.socket, peer: Peer, context: ssl.SSLContext, deadline: float) -> TlsWire:
    """A handshake, to be over by a time of `time.monotonic`. Where it fails, `sock` is closed.

    Raises:
        TlsError: the two sides did not come to terms.
    """
    sock.settimeout(max(deadline - time.monotonic(), 0.001))
    try:
        return TlsWire(context.wrap_socket(sock, server_hostname=peer.host))
    except (OSError, ValueError) as error:  # a host that can be no server's name
        sock.close()
        why = in_words(error) if isinstance(error, OSError) else str(error)
        raise TlsError(f"no TLS with {peer.host}:{peer.port}: {why}") from error
