"""The receivers that are compared, each as a process on a free port with a folder of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from deploy.system import accepts_connections, free_port
from tests.support.gateway import Gateway
from tests.support.programs import program
from tests.support.waiting import wait_for

REPOSITORY = Path(__file__).parents[2]
# Without a choice for DCMTK, which looks there whether to leave Nagle's algorithm on.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"} | {
    "PYTHONPATH": str(REPOSITORY)
}

# The bench's switch: the product has none.
_WITHOUT_SYNCS = "import os; os.fsync = lambda fd: None; from deploy.cli import main; main()"


@dataclass(frozen=True)
class Target:
    """`start` makes its command line out of a folder and a port."""

    name: str
    start: Callable[[Path, int], list[str]]
    bare: bool = False
    share: float = 1  # of the instances: less for who would take minutes
    no_delay: bool = True  # DCMTK is told to leave Nagle's algorithm off, as it is for all others

    @contextmanager
    def running(self, folder: Path) -> Iterator[int]:
        """The port it listens on, while the block runs; what it stored is emptied after it."""
        folder.mkdir(parents=True)
        port = free_port("127.0.0.1")
        process = subprocess.Popen(
            self.start(folder, port),
            stdout=subprocess.PIPE if self.bare else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=ENVIRONMENT | ({"TCP_NODELAY": "1"} if self.no_delay else {}),
        )
        try:
            if self.bare:
                assert process.stdout is not None
                port = int(process.stdout.readline())
            else:
                wait_for(lambda: accepts_connections("127.0.0.1", port), 30)
            yield port
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            _empty(folder)


def gateway(folder: Path, **options: Any) -> Gateway:
    """Penstock as it is run: with a Redis, and in the product's own time."""
    folder.mkdir()
    titles = [{"title": "BENCH", "pipeline": "keep"}]
    return Gateway(folder, periods={}, ae_titles=titles, **options)


def _empty(folder: Path) -> None:
    """Frees the space, and leaves the removal of the files to the bench's end.

    ext4 passes over inodes that were freed lately, one after another: after the removal of a few
    thousand files, making a new one takes ten times as long.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            os.truncate(path, 0)


def _penstock(folder: Path, port: int, durability: str) -> list[str]:
    settings = {
        "storage": {
            "root": str(folder),
            "watermark_percent": 100,
            "reserve_gb": 0,
            "durability": durability,
        },
        "receiver": {"port": port, "max_associations": 1000},
        "ae_titles": [{"title": "BENCH", "pipeline": "keep"}],
        "log": {"level": "warning"},
    }
    path = folder / "penstock.toml"
    path.write_text(tomli_w.dumps(settings))
    return ["-c", str(path), "receive"]


def _synced(durability: str) -> Callable[[Path, int], list[str]]:
    return lambda folder, port: [
        sys.executable, "-m", "deploy", *_penstock(folder, port, durability)
    ]  # fmt: skip


def _unsynced(folder: Path, port: int) -> list[str]:
    return [sys.executable, "-c", _WITHOUT_SYNCS, *_penstock(folder, port, "association")]


def _storescp(*options: str) -> Callable[[Path, int], list[str]]:
    return lambda folder, port: [
        program("storescp"), *options, "+B", "-od", str(folder), str(port)
    ]  # fmt: skip


def _ignoring(folder: Path, port: int) -> list[str]:
    return [program("storescp"), "--ignore", "--fork", str(port)]


def _sink(folder: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "tests.bench.sink"]


def _pynetdicom(folder: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "tests.bench.pynetdicom_scp", str(folder), str(port)]


def _orthanc(folder: Path, port: int) -> list[str]:
    configuration = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "HttpServerEnabled": False,
        "DicomPort": port,
        "DicomAlwaysAllowStore": True,
        "DicomCheckCalledAet": False,
        "DicomThreadsCount": 25,
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration))
    return [program("Orthanc"), str(path)]


def _bare(sync: str) -> Callable[[Path, int], list[str]]:
    return lambda folder, port: [sys.executable, "-m", "tests.bench.bare_loop", str(folder), sync]


PENSTOCK = Target("Penstock", _synced("association"))
PENSTOCK_EACH = Target('Penstock, durability = "instance"', _synced("instance"))
PENSTOCK_UNSYNCED = Target("Penstock, syncs off", _unsynced)
STORESCP = Target("DCMTK storescp", _storescp())
STORESCP_PLAIN = Target("DCMTK storescp", _storescp(), no_delay=False)
STORESCP_FORK = Target("DCMTK storescp --fork", _storescp("--fork"))
STORESCP_IGNORING = Target("DCMTK storescp --ignore", _ignoring)
SINK = Target("a sink", _sink, bare=True)
PYNETDICOM = Target("pynetdicom", _pynetdicom, share=0.25)
ORTHANC = Target("Orthanc", _orthanc, share=0.1)
BARE = Target("bare loop", _bare("none"), bare=True)
BARE_SYNCED = Target("bare loop, synced at the end", _bare("association"), bare=True)
BARE_EACH = Target("bare loop, each synced", _bare("instance"), bare=True)
