"""The connections that are open, and how many there may be."""

import threading
from collections.abc import Callable

from receiver.connection import Connection
from shared.settings.receiving import Receiver


class TooManyConnectionsError(Exception):
    """One more is not served; the association limit has nothing to do with it."""


class Connections:
    """Bounded apart from associations, so that who says nothing keeps nobody out.

    Half-open is what has no association, not yet or no longer.
    """

    def __init__(self, settings: Callable[[], Receiver]) -> None:
        self._settings = settings  # those in force at the moment
        self._claims: dict[Connection, str] = {}  # the address that counts; "" until it is known
        self._lock = threading.Lock()

    def all(self) -> list[Connection]:
        """Those that are open now."""
        with self._lock:
            return list(self._claims)

    def add(self, connection: Connection) -> None:
        """
        Raises:
            TooManyConnectionsError: without associations.
        """
        with self._lock:
            half_open = sum(not other.associated for other in self._claims)
            if half_open >= self._settings().max_half_open:
                raise TooManyConnectionsError("too many without an association")
            self._claims[connection] = ""

    def claim_address(self, connection: Connection) -> None:
        """Once the peer's address is certain, which behind a proxy it is not from the start.

        Raises:
            TooManyConnectionsError: from this address.
        """
        address = connection.peer_address
        most = self._settings().max_connections_per_address
        with self._lock:
            if most is not None and self._number_from(address) >= most:
                raise TooManyConnectionsError("too many from one address")
            self._claims[connection] = address

    def remove(self, connection: Connection) -> None:
        with self._lock:
            del self._claims[connection]

    def _number_from(self, address: str) -> int:
        # Whose association has ended may connect again at once, and is not refused for that.
        return sum(
            claimed == address and not connection.closing
            for connection, claimed in self._claims.items()
        )
