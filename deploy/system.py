"""What Linux is asked for directly: process inheritance and free ports."""

import ctypes
import os
import random
import signal
import socket
from collections.abc import Callable, Collection
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)

# Below the ephemeral range: a client that keeps trying a port inside it, while the server is
# away, can be given that very port as its own, connect to itself and so keep the server out.
_FREE_PORTS = range(20000, 32768)


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def adopt_orphans() -> None:
    """From now on a descendant whose parent dies becomes our child (child subreaper)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def dying_with_us() -> Callable[[], None]:
    """A `preexec_fn`: the child gets SIGTERM when the thread that starts it ends, however it does.

    A SIGHUP waits until it listens for it.

    Start such children from the main thread: there the thread's end is the process'.
    """
    parent = os.getpid()

    def set_death_signal() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel was told
            os._exit(1)

    return set_death_signal


def children() -> set[int]:
    """The processes whose parent we are now, ended ones that nobody has waited for included."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for text in lists for pid in text.read_text().split()}


def check_port(host: str, port: int) -> None:
    """Raises OSError if a server could not listen there now."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def free_port(host: str, besides: Collection[int] = ()) -> int:
    """A port that nobody listens on now, and none of those that are promised already.

    Raises:
        OSError: the host is not an address of this machine.
    """
    fault: OSError | None = None
    for port in random.sample(sorted(set(_FREE_PORTS) - set(besides)), 50):
        try:
            check_port(host, port)
        except OSError as error:
            fault = error
        else:
            return port
    raise OSError(f"no free port on {host}") from fault


def accepts_connections(host: str, port: int) -> bool:
    """Whether somebody listens there; the connection is closed again at once."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
