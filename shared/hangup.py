"""SIGHUP from the first moment on: it waits until somebody listens for it, and ends nobody.

Python takes most of a second to load a part, and the signal's own way is to end the process.
"""

import signal

from shared.terminal import Terminal

_HANGUP = {signal.SIGHUP}


def hold_hangups() -> None:
    """Unless there is a terminal, whose closing ends us until we listen."""
    if not Terminal().is_there:
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANGUP)


def hear_hangups() -> None:
    """One that came meanwhile comes now. To be called by the main thread."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANGUP)
