"""An engine elsewhere: a real HTTP server that remembers what it was asked, and answers as told."""

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    meanwhile: Callable[[Request], None] = lambda request: None  # before it answers
    hangs: bool = False  # it takes the request and says nothing until the engine is closed


class Engine:
    """Answers with `replies`, one after the other, and then with the last one for ever."""

    def __init__(self, *replies: Reply, context: ssl.SSLContext | None = None) -> None:
        self.replies = list(replies or [Reply()])
        self.requests: list[Request] = []
        self.left: list[str] = []  # keys of the requests whose client went away unanswered
        self.closed = threading.Event()
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._scheme = "http" if context is None else "https"

    @property
    def url(self) -> str:
        return f"{self._scheme}://{HOST}:{self._server.server_port}/engine?of=tests"

    @property
    def keys(self) -> list[str]:
        return [request.headers["Idempotency-Key"] for request in self.requests]

    def __enter__(self) -> "Engine":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()

    def _reply(self, request: Request) -> Reply:
        self.requests.append(request)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = Request(self.path, dict(self.headers), body)
                reply = engine._reply(request)
                reply.meanwhile(request)
                if reply.hangs:
                    self._hang(request)
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def _hang(self, request: Request) -> None:
                self.connection.settimeout(0.05)
                while not engine.closed.is_set():
                    try:
                        if not self.connection.recv(1):
                            engine.left.append(request.headers["Idempotency-Key"])
                            return
                    except TimeoutError:
                        continue
                    except OSError:
                        engine.left.append(request.headers["Idempotency-Key"])
                        return

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
