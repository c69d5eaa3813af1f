"""Running the peers' own programs, as installed by `make peers`."""

import subprocess
from pathlib import Path

from shared.delivery import Instance, read_delivery
from tests.support.programs import program
from tests.support.receivers import Stored


def run(tool: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [program(tool), *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )


def stored(receiver: Stored) -> dict[str, tuple[Instance, Path]]:
    """All instances committed, in however many associations, by SOP Instance UID."""
    return {
        instance.sop_instance_uid: (instance, folder / instance.file)
        for folder in receiver.committed()
        for instance in read_delivery(folder).instances
    }
