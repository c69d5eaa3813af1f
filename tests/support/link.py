"""A TCP connection to somewhere that can be cut, stalled and mended, as a cable can."""

import contextlib
import socket
import struct
import threading
from typing import NamedTuple

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # of SO_LINGER


class _Fray(NamedTuple):
    """After how many bytes, there or back, a connection breaks, and whether it stalls then."""

    there: int | None = None
    back: int | None = None
    stalls: bool = False


class Link:
    """Forwards what comes to `port` on the loopback interface to another port of it.

    `there` and `back` are the bytes that have passed so far.
    """

    def __init__(self, target: int) -> None:
        self._target = ("127.0.0.1", target)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._whole = True
        self._fray = _Fray()
        self._over = threading.Event()
        self.there = self.back = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """What is connected is reset, and so is whoever connects from now on."""
        with self._lock:
            self._whole = False
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def fray(
        self, *, there: int | None = None, back: int | None = None, stalls: bool = False
    ) -> None:
        """Whoever connects from now on is reset after so many bytes, or hears nothing more."""
        self._fray = _Fray(there, back, stalls)

    def mend(self) -> None:
        with self._lock:
            self._whole = True
            self._fray = _Fray()

    def __enter__(self) -> "Link":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._over.set()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                near, _ = self._listener.accept()
                with contextlib.suppress(OSError):
                    self._join(near)

    def _join(self, near: socket.socket) -> None:
        with self._lock:
            if not self._whole:
                near.close()
                return
            far = socket.create_connection(self._target)
            self._open |= {near, far}
        fray = self._fray
        for pump in (
            threading.Thread(target=self._pump, args=(near, far, "there", fray), daemon=True),
            threading.Thread(target=self._pump, args=(far, near, "back", fray), daemon=True),
        ):
            pump.start()

    def _pump(self, source: socket.socket, sink: socket.socket, way: str, fray: _Fray) -> None:
        left = getattr(fray, way)
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                data = data[:left]
                sink.sendall(data)
                setattr(self, way, getattr(self, way) + len(data))
                if left is not None:
                    left -= len(data)
                    if left == 0:
                        self._break(source, sink, fray)
                        break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source}
        source.close()

    def _break(self, source: socket.socket, sink: socket.socket, fray: _Fray) -> None:
        if fray.stalls:
            self._over.wait()
            return
        for end in (source, sink):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            end.shutdown(socket.SHUT_RD)  # wakes the other pump, and says nothing on the wire
            end.close()
