"""The programs that `make peers` installs."""

import shutil

# pynetdicom installs tools named as DCMTK's into a virtualenv.
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"


def program(tool: str) -> str:
    """Where it is installed."""
    found = shutil.which(tool, path=_SYSTEM_PATH)
    assert found is not None, f"{tool} is not installed; `make peers` does it"
    return found
