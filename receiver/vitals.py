"""How the receiver stands now, for whoever asks: Redis, Prometheus, a load balancer."""

import os
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

from receiver.server import Server
from receiver.services import Services
from shared.receiver_state import ReceiverState
from shared.tree import Usage

_PATIENCE = 1.0  # seconds that a look at the storage may take


class Vitals:
    def __init__(self, services: Services, server: Server) -> None:
        self.services = services
        self._server = server
        self._since = datetime.now(UTC)
        self._looking = threading.Lock()

    def state(self) -> ReceiverState:
        services, settings = self.services, self.services.settings
        counts, usage, load = services.tally.counts(), self.usage(), services.load()
        connections = self._server.connections()
        return ReceiverState(
            id=services.incoming.receiver,
            host=socket.gethostname(),
            pid=os.getpid(),
            address=self._server.address[0],
            port=self._server.address[1],
            since=self._since,
            revision=settings.revision,
            associations=services.slots.taken,
            limit=services.slots.limit,
            half_open=sum(not connection.associated for connection in connections),
            instances=counts.instances,
            bytes=counts.bytes,
            draining=load.draining,
            storage_full=load.storage_full,
            used_percent=usage.used_percent,
            watermark_percent=settings.storage.watermark_percent,
            free=usage.free,
        )

    def usage(self) -> Usage:
        """Of the storage; one that cannot be read counts as full."""
        try:
            return self.services.tree.usage()
        except OSError:
            return Usage(total=0, used=0, free=0)

    @property
    def alive(self) -> bool:
        """Whether connections are accepted at all."""
        return self._server.accepting

    def hindrances(self) -> Iterator[str]:
        """Why an association that is to store would be refused now, the limit apart.

        At the limit a receiver is ready: the peers that it has are served, and the next place
        may be free in a moment.
        """
        load = self.services.load()
        if load.draining:
            yield "draining"
        if load.storage_full:
            yield "storage full"
        if not self._storage_takes_writes():
            yield "storage cannot be written"

    def _storage_takes_writes(self) -> bool:
        # A storage that hangs holds one asker up, and the others know by that.
        if not self._looking.acquire(timeout=_PATIENCE):
            return False
        try:
            self.services.incoming.touch()
        except OSError:
            return False
        finally:
            self._looking.release()
        return True
