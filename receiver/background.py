"""What a receiver does besides receiving: it tells Redis, and answers HTTP."""

import socket
from typing import TYPE_CHECKING

import structlog

from receiver.server import Server
from receiver.services import Services
from receiver.vitals import Vitals
from shared import sop_classes

if TYPE_CHECKING:
    from receiver.endpoints import Endpoints

log = structlog.get_logger()


class Background:
    """Begun once the receiver listens: peers need not wait for what this loads to connect.

    Raises (on creation):
        OSError: `receiver.http` cannot be listened on.
    """

    def __init__(self, services: Services, server: Server) -> None:
        self._services = services
        self._vitals = Vitals(services, server)
        self._listener = self._listen()
        self._endpoints: Endpoints | None = None

    @property
    def http_port(self) -> int | None:
        """None: there is no HTTP."""
        return None if self._listener is None else self._listener.getsockname()[1]

    def start(self) -> None:
        sop_classes.registry()  # which the first association would wait for
        if self._listener is not None:
            from receiver.endpoints import Endpoints

            self._endpoints = Endpoints(self._listener, self._vitals)
            log.info("answering HTTP", host=self._listener.getsockname()[0], port=self.http_port)
        self._services.outbox.start()
        self._services.reporter.start(self._vitals.state)

    def close(self) -> None:
        """Ends HTTP; outbox and reporter end with the services."""
        if self._endpoints is not None:
            self._endpoints.close()
        elif self._listener is not None:
            self._listener.close()

    def _listen(self) -> socket.socket | None:
        http = self._services.settings.receiver.http
        if http.port is None:
            return None
        family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
        return socket.create_server((http.host, http.port), family=family)
