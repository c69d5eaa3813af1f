"""A login provider that takes everybody for the person that it was told of."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

HOST = "127.0.0.1"


class Provider:
    """OpenID Connect with one person and one client; serves while its block runs."""

    def __init__(self, email: str, *, verified: bool = True) -> None:
        self.person = {"email": email, "email_verified": verified}
        self.asked_for: dict[str, str] = {}  # the parameters of the last token request
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self.url = f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> "Provider":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                if url.path == "/.well-known/openid-configuration":
                    self._answer(provider.document())
                elif url.path == "/who/is/it":
                    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
                    back = urlencode({"code": "a-code", "state": asked["state"]})
                    self.send_response(302)
                    self.send_header("Location", f"{asked['redirect_uri']}?{back}")
                    self.end_headers()
                elif self.headers["Authorization"] == "Bearer a-token":
                    self._answer(provider.person)
                else:
                    self.send_error(401)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                provider.asked_for = {name: values[0] for name, values in parse_qs(body).items()}
                self._answer({"access_token": "a-token", "token_type": "Bearer"})

            def _answer(self, value: dict[str, Any]) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(value).encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def document(self) -> dict[str, str]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/who/is/it",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/person",
        }
