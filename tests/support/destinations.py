"""Destinations to export to: pynetdicom's Storage SCP and DCMTK's storescp."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pynetdicom import evt

from deploy.system import accepts_connections, free_port
from tests.support.programs import program
from tests.support.storage_scp import start_storage_scp
from tests.support.waiting import wait_for

HOST = "127.0.0.1"
SUCCESS = 0x0000


class Archive:
    """A Storage SCP that keeps the bytes of each data set, and counts who is connected at once."""

    def __init__(self, *, delay: float = 0, statuses: tuple[int, ...] = ()) -> None:
        """`delay` in seconds before each answer; `statuses` are given in turn, then success."""
        self.received: list[tuple[str, str, bytes]] = []  # UID, transfer syntax, data set
        self.started: list[float] = []  # when each data set was there, by time.monotonic
        self.requestors: list[Any] = []  # of each association, as pynetdicom saw it
        self.released = 0
        self._open = 0
        self._delay = delay
        self.statuses = list(statuses)
        self._lock = threading.Lock()
        self._server = start_storage_scp(
            "ARCHIVE",
            [
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_ACCEPTED, self._accepted),
                (evt.EVT_RELEASED, self._over),
                (evt.EVT_ABORTED, self._over),
            ],
        )
        self.port: int = self._server.server_address[1]
        self.busy: list[Archive] = [self]  # those whose connections are counted together
        self.most_open = 0

    def settings(self) -> dict[str, Any]:
        """For `[destinations.NAME]`."""
        return {"ae_title": "ARCHIVE", "host": HOST, "port": self.port}

    def data_sets(self) -> dict[str, tuple[str, bytes]]:
        return {uid: (syntax, data) for uid, syntax, data in self.received}

    def _accepted(self, event: Any) -> None:
        with self._lock:
            self._open += 1
            self.requestors.append(event.assoc.requestor)
        self.most_open = max(self.most_open, sum(each._open for each in self.busy))

    def _over(self, event: Any) -> None:
        with self._lock:
            self.released += event.event is evt.EVT_RELEASED
            self._open -= 1

    def _store(self, event: Any) -> int:
        self.started.append(time.monotonic())
        time.sleep(self._delay)
        request = event.request
        with self._lock:
            status = self.statuses.pop(0) if self.statuses else SUCCESS
            if status == SUCCESS or status >> 12 == 0xB:
                self.received.append(
                    (
                        str(request.AffectedSOPInstanceUID),
                        str(event.context.transfer_syntax),
                        request.DataSet.getvalue(),
                    )
                )
        return status

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()


@contextmanager
def storescp(
    folder: Path, *options: str, port: int | None = None, accepting: str = "+xa"
) -> Iterator[int]:
    """DCMTK's storescp, keeping bytes as they come (`+B`) in a folder; gives its port.

    It accepts every transfer syntax that it knows, unless told otherwise.
    """
    folder.mkdir(exist_ok=True)
    port = port or free_port(HOST)
    process = subprocess.Popen(
        [program("storescp"), "+B", accepting, "-od", str(folder), "--fork", *options, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(lambda: accepts_connections(HOST, port))
        yield port
    finally:
        # With its children: one that is still at an association keeps the port.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        wait_for(lambda: not accepts_connections(HOST, port))
