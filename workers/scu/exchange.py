"""What goes over the wire within an association as requestor: bytes there, events back."""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain

from shared.upper_layer.association import Requestor
from shared.upper_layer.errors import AbortSource, ProtocolError
from shared.upper_layer.events import Aborted, Event
from shared.upper_layer.pdu import Abort
from shared.upper_layer.state import State
from workers.scu.errors import AssociationLostError, ScuError, SilentError, TlsError, in_words
from workers.scu.wire import Buffer, Wire

_ABORT_TIMEOUT = 1.0  # seconds for a peer to take our A-ABORT


class Exchange:
    """The wire and what the protocol makes of it; every fault of either is a `ScuError`."""

    def __init__(self, wire: Wire, protocol: Requestor, pdu_timeout: float) -> None:
        self._wire = wire
        self._protocol = protocol
        self._pdu_timeout = pdu_timeout
        self._events: Iterator[Event] = iter(())

    def send(self, buffers: Sequence[Buffer]) -> None:
        """
        Raises:
            AssociationLostError, TlsError: not all of it has gone.
        """
        try:
            self._wire.send(buffers, self._pdu_timeout)
        except OSError as error:
            raise self._lost("sending failed", error) from error

    def event(self, deadline: float) -> Event:
        """What the peer says next; a byte of it now and then moves no deadline.

        Raises:
            SilentError: it says nothing until that time of `time.monotonic`; the association is
                as good as before.
            AssociationLostError, TlsError: it is gone.
        """
        try:
            while (event := next(self._events, None)) is None:
                data = self._wire.receive(deadline)
                if not data:
                    raise AssociationLostError("the peer closed the connection")
                self._events = self._protocol.receive(data)
        except ProtocolError as error:
            raise AssociationLostError(f"the peer broke the protocol: {error}") from error
        except OSError as error:
            raise _no_answer(error) from error
        return event

    def abort(self) -> None:
        """Nothing is waited for, and a peer that is gone is no error."""
        if self._protocol.state in (State.AWAITING_CLOSE, State.AWAITING_LOCAL_REQUEST):
            return
        with suppress(OSError):
            self._wire.send([self._protocol.abort(AbortSource.SERVICE_USER, 0)], _ABORT_TIMEOUT)

    def _lost(self, what: str, error: OSError) -> ScuError:
        """The peer may have said why before it went."""
        try:
            for event in chain(self._events, self._protocol.receive(self._wire.receive())):
                if isinstance(event, Aborted):
                    return out_of_turn(event)
        except ssl.SSLError as alert:
            return TlsError(in_words(alert))
        except (OSError, ProtocolError):
            pass  # it did not
        return AssociationLostError(f"{what}: {in_words(error)}")


def out_of_turn(event: Event) -> AssociationLostError:
    """What to say of an event where another one was due."""
    if isinstance(event, Aborted):
        return AssociationLostError(Abort(event.source, event.reason).describe())
    return AssociationLostError(f"the peer sent {type(event).__name__} out of turn")


def _no_answer(error: OSError) -> ScuError:
    if isinstance(error, TimeoutError):
        return SilentError(f"no answer: {in_words(error)}")
    if isinstance(error, ssl.SSLError):  # with TLS 1.3 ours is judged after the handshake
        return TlsError(in_words(error))
    return AssociationLostError(f"no answer: {in_words(error)}")
