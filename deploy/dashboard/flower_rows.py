"""Flower's database: its rows outlive its process. No promise rests on them."""

from pathlib import Path

import structlog
from tornado.ioloop import IOLoop

from shared.locked_file import LockedFile

_NAME = "tasks"

log = structlog.get_logger()


def rows_file(folder: Path) -> Path | None:
    """The database in this folder, ours until the process ends; None where it cannot be had.

    Flower puts a database aside that it cannot read. One that ended its last reader is put aside
    here: the mark that it was being opened is still there.
    """
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        if LockedFile.try_lock(folder / "lock") is None:
            log.warning("rows are not kept: another Flower keeps its own there", folder=str(folder))
            return None
        opening = folder / "opening"
        if opening.exists():
            _put_aside(folder)
        opening.touch()
    except OSError as error:
        log.warning("rows are not kept", folder=str(folder), error=error.strerror)
        return None
    IOLoop.current().add_callback(opening.unlink)  # it runs once the database has been read
    return folder / _NAME


def _put_aside(folder: Path) -> None:
    log.error("rows put aside: Flower ended while it read them", folder=str(folder))
    for file in folder.glob(f"{_NAME}*"):  # the suffix depends on the kind of database
        file.rename(folder / f"damaged-{file.name}")
