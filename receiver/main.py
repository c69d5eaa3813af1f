"""The receiver process, from its start to its exit code."""

import resource
import signal
import threading
import time
from collections.abc import Callable

import structlog

from receiver.background import Background
from receiver.certificates import Certificates
from receiver.file_watch import FileWatch
from receiver.incoming import Incoming
from receiver.server import Server
from receiver.services import Services
from shared.settings import Settings
from shared.terminal import Terminal
from shared.tree import StorageTree

_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
_SIGNALS = _STOP_SIGNALS | {signal.SIGHUP}
_LOOK = 1.0  # seconds between two looks at the settings file
_POLL = 0.05  # seconds
_STACK = 256 << 10  # bytes: 1000 threads must not ask for 8 GB of addresses
_MOST_OPEN_FILES = 16384

log = structlog.get_logger()


def run(settings: Settings, ready: Callable[[str, int], None] | None = None) -> int:
    """Serves until a SIGTERM or SIGINT, drains, and gives the exit code.

    SIGHUP reads the settings again, unless it says that our terminal was closed. `ready` is told
    the address and port once peers can associate. To be called by the main thread.

    Raises:
        CertificateFileError: no TLS with what the settings name.
        OSError: the storage cannot be used, or an address not listened on.
    """
    # Blocked, and waited for below: nothing runs in the middle of something else.
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    usual_stack = threading.stack_size(_STACK)
    try:
        _raise_open_files_limit()
        certificates = Certificates.of(settings.receiver)
        tree = StorageTree(settings.storage.root)
        tree.create()
        services = Services.start(settings, tree, Incoming.create(tree), certificates)
        try:
            _serve(services, ready)
        finally:
            services.stop()
    finally:
        threading.stack_size(usual_stack)
        signal.pthread_sigmask(signal.SIG_SETMASK, usual)
    return 0


def _serve(services: Services, ready: Callable[[str, int], None] | None) -> None:
    terminal, watch = Terminal(), FileWatch(services.settings.source)
    server = Server(services)
    background = Background(services, server)
    background.start()  # meanwhile peers connect, and wait
    server.start()
    host, port = server.address
    log.info("receiving", host=host, port=port, tls_port=server.tls_port)
    if ready is not None:
        ready(host, port)
    _wait_until_stopped(services, terminal, watch)
    log.info("draining")
    server.drain()
    _wait_until_drained(server, services.settings.receiver.drain_timeout)
    server.close("the receiver is being stopped")
    background.close()
    log.info("stopped")


def _wait_until_stopped(services: Services, terminal: Terminal, watch: FileWatch) -> None:
    """Reads the settings again at a SIGHUP, and if so asked when their file has changed."""
    while True:
        received = signal.sigtimedwait(_SIGNALS, _LOOK)
        if received is None:
            if not (watch.changed() and services.settings.receiver.reload_on_change):
                continue
        elif received.si_signo in _STOP_SIGNALS or terminal.was_closed:
            return
        services.reload()


def _wait_until_drained(server: Server, timeout: float) -> None:
    """Also ends when the time is over, or at a second signal."""
    deadline = time.monotonic() + timeout
    while server.busy and time.monotonic() < deadline:
        if signal.sigtimedwait(_STOP_SIGNALS, _POLL) is not None:
            return


def _raise_open_files_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
