"""Destinations that count: each association that was opened to them, what came, how it ended."""

import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from shared.upper_layer.c_services import EchoRequest
from shared.upper_layer.events import Aborted, Event, MessageReceived, ReleaseRequested
from tests.workers.raw_scp import Connection

HOST = "127.0.0.1"
SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700
_ESTABLISHED = 1  # of `enum` in linux/tcp_states.h
_TCP_STATE = struct.Struct("B")  # first of `struct tcp_info`


class Came(NamedTuple):
    """An instance that came whole; a status of None was no answer."""

    uid: str
    digest: str  # SHA-256 of the data set
    status: int | None


@dataclass
class Taken:
    """An association, as its acceptor saw it; times are `time.monotonic`."""

    destination: str
    begun: float
    came: list[Came] = field(default_factory=list)
    ended: float = 0.0
    released: bool = False

    @property
    def delivered(self) -> list[Came]:
        return [each for each in self.came if each.status == SUCCESS]

    @property
    def kept(self) -> list[Came]:
        """Those, too, that came whole and were not answered."""
        return [each for each in self.came if each.status in (SUCCESS, None)]


class Meter:
    """How many connections are open at once, over all destinations that it is given to.

    By the kernel's word: a connection whose peer has closed it is none, also where the thread that
    serves it has not yet come to see that.
    """

    def __init__(self) -> None:
        self.most = 0
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()

    def opened(self, sock: socket.socket) -> None:
        with self._lock:
            self._sockets.add(sock)
            self.most = max(self.most, self._open())

    def closed(self, sock: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(sock)

    @property
    def open(self) -> int:
        with self._lock:
            return self._open()

    def _open(self) -> int:
        return sum(_is_established(sock) for sock in self._sockets)


def _is_established(sock: socket.socket) -> bool:
    if sock.fileno() < 0:
        return False
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_STATE.size)
    (state,) = _TCP_STATE.unpack(info)
    return bool(state == _ESTABLISHED)


class Visit(Connection):
    """A connection under way, and the account that is kept of it."""

    def __init__(self, sock: socket.socket, over: threading.Event, taken: Taken) -> None:
        super().__init__(sock, 16384, over)
        self.taken = taken

    def take(self, *statuses: int | None) -> None:
        """So many instances, each answered so; None is no answer.

        Raises:
            EOFError: the caller releases before.
        """
        for status in statuses:
            if isinstance(self.coming(), ReleaseRequested):
                raise EOFError
            request, data_set = self.stored()
            # On record first: whoever has the answer may look.
            digest = hashlib.sha256(data_set).hexdigest()
            self.taken.came.append(Came(request.sop_instance_uid, digest, status))
            if status is not None:
                self.respond(request, status)

    def take_up_to(self, count: int) -> bool:
        """So many instances; False if the caller has no more than that, and has released."""
        for _ in range(count):
            if isinstance(self.coming(), ReleaseRequested):
                break
            self.take(SUCCESS)
        else:
            if not isinstance(self.coming(), ReleaseRequested):
                return True
        self.taken.released = True
        self.release()
        return False

    def take_all(self, delay: float = 0) -> None:
        """Until the release; each after a delay in seconds."""
        while not isinstance(self.coming(), ReleaseRequested):
            time.sleep(delay)
            self.take(SUCCESS)
        self.taken.released = True
        self.release()

    def coming(self) -> Event:
        """What the next event is going to be, but for a C-ECHO, which is answered.

        Raises:
            EOFError: the caller has gone.
        """
        while True:
            event = self.event()
            if isinstance(event, Aborted):
                raise EOFError
            self._events.insert(0, event)
            if not (isinstance(event, MessageReceived) and isinstance(event.message, EchoRequest)):
                return event
            self.echo()


Script = Callable[[Visit], None]


def takes_all(visit: Visit) -> None:
    visit.accept()
    visit.take_all()


def takes_slowly(seconds: float) -> Script:
    """So long for each instance."""

    def script(visit: Visit) -> None:
        visit.accept()
        visit.take_all(seconds)

    return script


class CountedDestination:
    """A Storage SCP on a free port, a thread for each connection; `script` may be changed."""

    def __init__(self, name: str = "COUNTED", meter: Meter | None = None) -> None:
        self.name = name
        self.meter = meter or Meter()
        self.script: Script = takes_all
        self.associations: list[Taken] = []
        self.connections = 0
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((HOST, 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self._begin()

    def section(self, **more: Any) -> dict[str, Any]:
        """For `[destinations.NAME]`."""
        return {"ae_title": self.name, "host": HOST, "port": self.port, **more}

    @property
    def delivered(self) -> list[str]:
        """The SOP Instance UIDs that were answered with success, in order."""
        return [came.uid for taken in list(self.associations) for came in taken.delivered]

    def go_down(self) -> None:
        """Whoever connects from now on is refused; what is open goes on."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._serving.join()

    def come_up(self) -> None:
        self._listener = socket.create_server((HOST, self.port), backlog=100)
        self._begin()

    def __enter__(self) -> "CountedDestination":
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.go_down()
        for thread in self._threads:
            thread.join(20)

    def _begin(self) -> None:
        self._serving = threading.Thread(target=self._serve, args=(self._listener,), daemon=True)
        self._serving.start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            self.meter.opened(sock)
            thread = threading.Thread(target=self._visited, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _visited(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        taken = Taken(self.name, time.monotonic())
        self.associations.append(taken)
        with sock:
            try:
                self.script(Visit(sock, self._over, taken))
            except (EOFError, OSError):  # the caller has gone, which is what `taken` then says
                pass
            finally:
                taken.ended = time.monotonic()
                self.meter.closed(sock)
