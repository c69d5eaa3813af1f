"""pynetdicom's server of associations, in threads of this process; it ends when it is told to."""

import socketserver
import threading
from collections.abc import Callable, Sequence
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

HOST = "127.0.0.1"
Handler = tuple[evt.EventType, Callable[[Any], object]]


class PromptServer(ThreadedAssociationServer):
    """Its base ends within half a second, and many tests have one of their own."""

    def serve_forever(self, poll_interval: float = 0.02) -> None:
        super().serve_forever(poll_interval)

    def shutdown(self) -> None:
        socketserver.BaseServer.shutdown(self)
        self.server_close()


def start_server(ae: AE, handlers: Sequence[Handler]) -> PromptServer:
    """On a free port; to be shut down."""
    server = ae.make_server((HOST, 0), evt_handlers=list(handlers), server_class=PromptServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
