"""The sender of the benches: encoded beforehand, many associations from one thread, synchronous.

    python -m tests.bench.sender PORT KIND INSTANCES ASSOCIATIONS [--bare]

Each association waits for every response before its next request. Prints the seconds from the
first byte of the first A-ASSOCIATE-RQ to the last A-RELEASE-RP. `--bare` speaks to the bare loop:
the same bytes without an association around them.
"""

import argparse
import selectors
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator

from shared.upper_layer.associate import AssociateRequest
from shared.upper_layer.association import Requestor
from shared.upper_layer.c_services import StoreResponse
from shared.upper_layer.events import AssociateAccepted, MessageReceived, ReleaseConfirmed
from shared.upper_layer.presentation_context import ProposedContext
from shared.upper_layer.user_information import UserInformation
from tests.bench.bare_loop import ANSWER, END
from tests.bench.instances import CONTEXT_ID, CT, MR, TRANSFER_SYNTAX, Kind, Messages
from workers.scu.wire import rest_of

_CONNECT_PATIENCE = 60  # seconds


class WrongAnswerError(Exception):
    """The receiver did not answer as it should."""


class Sending(ABC):
    """One association's part of the instances."""

    def __init__(self, sock: socket.socket, numbers: Iterator[int]) -> None:
        self.socket = sock
        self._numbers = numbers
        self._out: list[bytes | memoryview] = []
        self.done = False

    @abstractmethod
    def begin(self) -> None: ...

    @abstractmethod
    def received(self, data: bytes) -> None: ...

    @abstractmethod
    def next_request(self) -> None: ...

    def queue(self, buffers: list[bytes | memoryview]) -> None:
        self._out = buffers
        self.push()

    def push(self) -> None:
        """Sends what the socket takes now."""
        while self._out:
            try:
                sent = self.socket.sendmsg(self._out)
            except BlockingIOError:
                return
            self._out = rest_of(self._out, sent)

    @property
    def blocked(self) -> bool:
        return bool(self._out)


class Dicom(Sending):
    def __init__(self, sock: socket.socket, numbers: Iterator[int], kind: Kind) -> None:
        super().__init__(sock, numbers)
        context = ProposedContext(CONTEXT_ID, kind.sop_class_uid, (TRANSFER_SYNTAX,))
        request = AssociateRequest("BENCH", "SENDER", (context,), UserInformation(131072, "2.25.9"))
        self._kind = kind
        self._protocol = Requestor(request)
        self._messages: Messages | None = None

    def begin(self) -> None:
        self.queue([self._protocol.associate()])

    def received(self, data: bytes) -> None:
        for event in self._protocol.receive(data):
            match event:
                case AssociateAccepted():
                    if CONTEXT_ID not in self._protocol.accepted:
                        raise WrongAnswerError("the presentation context was refused")
                    self._messages = _messages(self._kind, self._protocol.peer_max_pdu_length)
                    self.next_request()
                case MessageReceived(_, StoreResponse(status=0)):
                    self.next_request()
                case ReleaseConfirmed():
                    self.done = True
                case _:
                    raise WrongAnswerError(f"the receiver said {event}")

    def next_request(self) -> None:
        assert self._messages is not None
        number = next(self._numbers, None)
        if number is None:
            self.queue([self._protocol.release()])
        else:
            self.queue(self._messages.buffers(number))


class Bare(Sending):
    def __init__(self, sock: socket.socket, numbers: Iterator[int], kind: Kind) -> None:
        super().__init__(sock, numbers)
        self._messages = _messages(kind, 131072)
        self._answer = b""
        self._ending = False

    def begin(self) -> None:
        self.queue([self._messages.size.to_bytes(8, "big")])
        self.next_request()

    def received(self, data: bytes) -> None:
        self._answer += data
        if len(self._answer) == len(ANSWER):
            self._answer = b""
            self.done = self._ending
            if not self.done:
                self.next_request()

    def next_request(self) -> None:
        number = next(self._numbers, None)
        self._ending = number is None
        self.queue([*self._out, *([END] if number is None else self._messages.buffers(number))])


_made: dict[tuple[Kind, int], Messages] = {}


def _messages(kind: Kind, max_pdu_length: int) -> Messages:
    key = kind, max_pdu_length
    if key not in _made:
        _made[key] = Messages(kind, max_pdu_length)
    return _made[key]


def send(port: int, kind: Kind, instances: int, associations: int, *, bare: bool) -> float:
    """Seconds from the first byte to the last A-RELEASE-RP.

    Raises:
        WrongAnswerError: an answer other than success.
    """
    selector = selectors.EpollSelector()
    # Distinct over repeated runs, so that no receiver finds an instance there already.
    start = time.time_ns() // 1000 * 100
    begun = time.perf_counter()
    open_ = 0
    for index in range(associations):
        sock = socket.create_connection(("127.0.0.1", port), _CONNECT_PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        numbers = iter(range(start + index, start + instances, associations))
        sending = (Bare if bare else Dicom)(sock, numbers, kind)
        selector.register(sock, selectors.EVENT_READ, sending)
        sending.begin()
        open_ += 1
    while open_:
        for key, mask in selector.select():
            sending = key.data
            if mask & selectors.EVENT_WRITE:
                sending.push()
            if mask & selectors.EVENT_READ:
                data = sending.socket.recv(65536)
                if not data:
                    raise WrongAnswerError("the receiver closed the connection")
                sending.received(data)
            if sending.done:
                selector.unregister(sending.socket)
                sending.socket.close()
                open_ -= 1
                continue
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if sending.blocked else 0)
            if key.events != wanted:
                selector.modify(sending.socket, wanted, sending)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("kind", choices=["CT", "MR"])
    parser.add_argument("instances", type=int)
    parser.add_argument("associations", type=int)
    parser.add_argument("--bare", action="store_true")
    given = parser.parse_args()
    kind = {"CT": CT, "MR": MR}[given.kind]
    print(send(given.port, kind, given.instances, given.associations, bare=given.bare))


if __name__ == "__main__":
    main()
