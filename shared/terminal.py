"""What a SIGHUP means: that our terminal was closed, or that the settings are to be read again."""

import os


class Terminal:
    """The terminal that the process was started from, if there was one."""

    def __init__(self) -> None:
        self._had_one = self.is_there

    @property
    def was_closed(self) -> bool:
        return self._had_one and not self.is_there

    @property
    def is_there(self) -> bool:
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        except OSError:  # the kernel has taken it from every process of the session
            return False
        return True
