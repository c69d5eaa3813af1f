"""Signals as a queue that is waited on, so that what follows one is ordinary code."""

import contextlib
import select
import signal
import socket
from types import FrameType
from typing import Any

from shared.hangup import hear_hangups

STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
_WAITED_FOR = (*STOP_SIGNALS, signal.SIGHUP, signal.SIGCHLD)


class SignalQueue:
    """While entered, stop signals, SIGHUP and SIGCHLD only wake `wait`. Main thread only."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._wakeup_before = -1
        self._handlers_before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "SignalQueue":
        # The interpreter writes each signal's number there, whichever thread it came to.
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in _WAITED_FOR:
            # nohup ignores SIGHUP, a shell's background job SIGINT: let them.
            if number == signal.SIGCHLD or signal.getsignal(number) != signal.SIG_IGN:
                self._handlers_before[number] = signal.signal(number, _only_wake)
        hear_hangups()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float) -> bytes:
        """The numbers of the signals that came, in order; empty once the time is over."""
        readable, _, _ = select.select([self._reader], [], [], seconds)
        return self._reader.recv(4096) if readable else b""

    def put(self, number: signal.Signals) -> None:
        """As if the signal had come; from any thread, and without effect after the end."""
        with contextlib.suppress(OSError):
            self._writer.send(bytes([number]))


def _only_wake(number: int, frame: FrameType | None) -> None:
    pass
