"""Receivers to test: in this process, or in one of their own that can be killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from receiver.background import Background
from receiver.certificates import Certificates
from receiver.incoming import Incoming
from receiver.server import Server
from receiver.services import Services
from shared.delivery import ABORTED_FILE, Delivery, read_delivery
from shared.settings import Settings
from shared.tree import StorageTree
from tests.support.scu import Scu
from tests.support.waiting import wait_for

_RUN = """
import sys
from pathlib import Path
from receiver.main import run
from shared.settings import load
ready = lambda host, port: print(port, flush=True)
sys.exit(run(load(Path(sys.argv[1])), ready))
"""


def settings_for(root: Path, **sections: Any) -> dict[str, Any]:
    """Settings with one AE title, BRAIN, on any free port; sections given are laid over them."""
    base: dict[str, Any] = {
        # However full the machine is that the tests run on.
        "storage": {
            "root": str(root),
            "reserve_gb": 0,
            "watermark_percent": 100,
            "watermark_release_percent": 100,
        },
        "receiver": {"port": 0},
        "ae_titles": [{"title": "BRAIN", "pipeline": "keep"}],
    }
    for name, section in sections.items():
        base[name] = base[name] | section if isinstance(base.get(name), dict) else section
    return base


class Stored:
    """What a receiver left on disk."""

    def __init__(self, root: Path) -> None:
        self.tree = StorageTree(root)

    def committed(self) -> list[Path]:
        return sorted(self.tree.committed.iterdir())

    def aborted(self) -> list[Path]:
        return sorted(self.tree.aborted.iterdir())

    def incoming(self) -> list[Path]:
        """The folders of associations that are open or left behind."""
        return sorted(self.tree.incoming.glob("*/[!a]*"))

    def delivery(self) -> Delivery:
        """The only one there is."""
        (folder,) = self.committed()
        return read_delivery(folder)

    def aborted_delivery(self) -> Delivery:
        (folder,) = self.aborted()
        return Delivery.model_validate_json((folder / ABORTED_FILE).read_bytes())


class Called(Stored):
    """A receiver that listens at `address`."""

    address: tuple[str, int]

    def scu(self) -> Scu:
        return Scu(self.address)

    def associated(self, **request: Any) -> Scu:
        scu = self.scu()
        scu.associate(**request)
        return scu


class LocalReceiver(Called):
    """A server in this process, listening on the loopback."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.storage.root)
        self.tree.create()
        certificates = Certificates.of(settings.receiver)
        self.services = Services.start(
            settings, self.tree, Incoming.create(self.tree), certificates
        )
        self.server = Server(self.services)
        self.background = Background(self.services, self.server)
        self.background.start()
        self.server.start()
        self.address = ("127.0.0.1", self.server.address[1])

    @property
    def port(self) -> int:
        return self.address[1]

    @property
    def tls_address(self) -> tuple[str, int]:
        assert self.server.tls_port is not None
        return "127.0.0.1", self.server.tls_port

    def stop(self) -> None:
        self.server.close("the test is over")
        self.background.close()
        self.services.stop()


@contextmanager
def local_receiver(root: Path, **sections: Any) -> Iterator[LocalReceiver]:
    receiver = LocalReceiver(Settings(**settings_for(root, **sections)))
    try:
        yield receiver
    finally:
        receiver.stop()


class ReceiverProcess(Called):
    """`receiver.main.run` in a process of its own."""

    def __init__(
        self,
        root: Path,
        *,
        before: Callable[[], None] | None = None,
        log: Path | None = None,  # where the root cannot be written to
        **sections: Any,
    ) -> None:
        super().__init__(root)
        self._log = log or root / "receiver.log"
        self.config = self._log.with_name("penstock.toml")
        self.configure(**sections)
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _RUN, str(self.config)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
                preexec_fn=before,
            )
        self.address = ("127.0.0.1", wait_for(self._port))

    def configure(self, **sections: Any) -> None:
        """Writes its settings file, which it reads at its start and when it is told to."""
        self.config.write_text(tomli_w.dumps(settings_for(self.tree.root, **sections)))

    def hang_up(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def log(self) -> str:
        """All that it has written to stdout and stderr."""
        return self._log.read_text()

    def _port(self) -> int:
        """Once it is ready; 0 until then."""
        assert self.process.poll() is None, self.log()
        return next((int(line) for line in self.log().splitlines() if line.isdigit()), 0)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def exit_code(self, timeout: float = 20) -> int:
        return self.process.wait(timeout)


@contextmanager
def receiver_process(root: Path, **options: Any) -> Iterator[ReceiverProcess]:
    receiver = ReceiverProcess(root, **options)
    try:
        yield receiver
    finally:
        receiver.kill()
