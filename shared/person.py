"""Who acts, in the history of a job: `user@host`."""

import getpass
import os
import socket


def person() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user id need not have a name
        name = f"uid-{os.getuid()}"
    return f"{name}@{socket.gethostname()}"
