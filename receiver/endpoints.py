"""`/livez`, `/readyz` and `/metrics` over HTTP, for those who run the receiver."""

import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import NamedTuple

from prometheus_client.exposition import choose_encoder

from receiver.metrics import registry
from receiver.vitals import Vitals

_TEXT = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    status: HTTPStatus
    body: bytes
    content_type: str = _TEXT


class Endpoints(ThreadingTCPServer):
    """Serves from its creation until `close`, on a socket that listens already."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, vitals: Vitals) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self._vitals = vitals
        self._metrics = registry(vitals)
        threading.Thread(target=self.serve_forever, name="http", daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def answer(self, path: str, accept: str) -> Answer:
        match path.partition("?")[0]:
            case "/livez":
                return _verdict([] if self._vitals.alive else ["not listening"])
            case "/readyz":
                return _verdict(list(self._vitals.hindrances()))
            case "/metrics":
                encode, content_type = choose_encoder(accept)
                return Answer(HTTPStatus.OK, encode(self._metrics), content_type)
        return Answer(HTTPStatus.NOT_FOUND, b"there are /livez, /readyz and /metrics\n")


def _verdict(faults: list[str]) -> Answer:
    if faults:
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, "".join(f"{f}\n" for f in faults).encode())
    return Answer(HTTPStatus.OK, b"ok\n")


class _Handler(BaseHTTPRequestHandler):
    server: Endpoints
    timeout = 10  # seconds for a request to arrive
    server_version = "Penstock"
    sys_version = ""

    def do_GET(self) -> None:
        answer = self.server.answer(self.path, self.headers.get("Accept", ""))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_HEAD = do_GET  # noqa: N815  (the name is http.server's)

    def log_message(self, format: str, *args: object) -> None:
        """A probe each second is nothing to write down."""
