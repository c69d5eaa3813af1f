"""`dispatched` in a delivery's folder: each of its instances has its jobs, and these are they."""

from pathlib import Path

from shared.delivery import Record

DISPATCHED_FILE = "dispatched"


class Dispatched(Record):
    jobs: tuple[str, ...]


def is_dispatched(folder: Path) -> bool:
    return (folder / DISPATCHED_FILE).exists()


def read_dispatched(folder: Path) -> Dispatched:
    """
    Raises:
        FileNotFoundError: the delivery is not dispatched, or not here any more.
    """
    return Dispatched.model_validate_json((folder / DISPATCHED_FILE).read_bytes())
