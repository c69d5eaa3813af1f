"""A peer that sends a byte now and then, to be waited for."""

import contextlib
import socket
import time


def trickle(sock: socket.socket, data: bytes) -> float:
    """Sends a byte every 50 ms; how long it was let to."""
    began = time.monotonic()
    with contextlib.suppress(OSError):
        for position in range(len(data)):
            sock.sendall(data[position : position + 1])
            sock.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                if not sock.recv(100):
                    break
    return time.monotonic() - began
