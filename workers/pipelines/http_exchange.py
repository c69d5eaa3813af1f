"""One HTTP request and the status that answers it; it can be broken off at any moment.

The standard library's client: its socket can be shut down while a thread waits on it, so that an
engine which takes hours to answer keeps no cancelled job, and no stopping worker, waiting.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from shared.settings.tls import ClientTls

_POLL = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    retry_after: str | None  # the header, as it came


class NoAnswerError(Exception):
    """Why there is none, without address and data."""

    def __init__(self, reason: str, *, uncertain: bool = False) -> None:
        """`uncertain`: the request may have arrived."""
        super().__init__(reason)
        self.uncertain = uncertain


class HttpExchange:
    """A connection to one address, for one request.

    Raises:
        NoAnswerError: the certificate files of `tls` cannot be used.
    """

    def __init__(
        self, url: str, tls: ClientTls, *, connect_timeout: float, response_timeout: float
    ) -> None:
        parts = urlsplit(url)
        self._target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        self._connection: HTTPConnection
        if parts.scheme == "https":
            self._connection = HTTPSConnection(
                parts.hostname or "", parts.port, timeout=connect_timeout, context=_context(tls)
            )
        else:
            self._connection = HTTPConnection(
                parts.hostname or "", parts.port, timeout=connect_timeout
            )
        self._response_timeout = response_timeout
        self._longest = connect_timeout + response_timeout
        self._lock = threading.Lock()
        self._broken_off = False

    def probe(self) -> None:
        """Connects, and closes the connection again.

        Raises:
            NoAnswerError: refused, unknown host, timed out, no trust in the certificate.
        """
        try:
            self._connection.connect()
        except OSError as error:
            raise NoAnswerError(f"no connection: {_words(error)}") from None
        finally:
            self._connection.close()

    def post(
        self, body: bytes, headers: Mapping[str, str], check: Callable[[], None]
    ) -> HttpAnswer:
        """Calls `check` all the while; what that raises ends the exchange.

        Raises:
            NoAnswerError: not connected, broken off, or no answer in time.
        """
        ended = threading.Event()
        found: list[HttpAnswer | NoAnswerError] = []

        def work() -> None:
            try:
                found.append(self._post(body, headers))
            except NoAnswerError as error:
                found.append(error)
            finally:
                self._connection.close()
                ended.set()

        deadline = time.monotonic() + self._longest
        threading.Thread(target=work, name="http exchange", daemon=True).start()
        try:
            while not ended.wait(_POLL):
                check()
                if time.monotonic() > deadline:  # the socket's timeouts are of silence only
                    reason = f"no answer within {self._longest:g} s"
                    raise NoAnswerError(reason, uncertain=True)
        finally:
            self._break_off()
        (result,) = found
        if isinstance(result, NoAnswerError):
            raise result
        return result

    def _post(self, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        try:
            self._connection.connect()
        except OSError as error:
            raise NoAnswerError(f"no connection: {_words(error)}") from None
        with self._lock:
            if self._broken_off:
                raise NoAnswerError("broken off")
        try:
            self._connection.sock.settimeout(self._response_timeout)
            self._connection.request("POST", self._target, body, dict(headers))
            response = self._connection.getresponse()
        except (OSError, HTTPException) as error:
            raise NoAnswerError(f"no answer: {_words(error)}", uncertain=True) from None
        return HttpAnswer(response.status, response.getheader("Retry-After"))

    def _break_off(self) -> None:
        with self._lock:
            self._broken_off = True
            if (sock := self._connection.sock) is not None:
                with contextlib.suppress(OSError):  # closed already
                    # Past SSLSocket's own, which takes the TLS away under whoever reads.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _context(tls: ClientTls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:  # an SSLError is one
        raise NoAnswerError(f"the certificate files cannot be used: {_words(error)}") from None
    return context


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the engine's certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or 'failed'}"
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
