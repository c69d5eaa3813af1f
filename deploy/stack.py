"""`penstock up`: the parts of the whole system on one machine."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console

from deploy import embedded_server
from deploy.processes.part import Part
from deploy.screens.summary import summary
from deploy.system import accepts_connections, check_port, free_port
from shared.locked_file import LockedFile
from shared.settings import Settings
from shared.tree import StorageTree

_MARGIN = 5.0  # seconds that a part has to end, once its own time to drain is over


class PortUnavailableError(Exception):
    """A port of the settings cannot be listened on: in use, or not ours to use."""


class Stack:
    """The parts that these settings ask for; while entered, it holds the embedded server's data.

    `settings` are those in force: with the ports that were picked for `0`, and with the embedded
    server's URL. The parts get what differs by environment.
    """

    def __init__(self, settings: Settings, config_path: Path | None = None) -> None:
        """Picks free ports.

        Raises:
            PortUnavailableError: the settings name a port that cannot be had.
        """
        self._options = [] if config_path is None else ["--config", str(config_path)]
        receiver, flower = settings.receiver, settings.flower
        self.receiver_port = _port("receiver", receiver.host, receiver.port, flower.port)
        taken = {self.receiver_port}
        self.flower_port = flower.port
        if flower.enabled:
            self.flower_port = _port("flower", flower.host, flower.port, *taken)
            taken.add(self.flower_port)
        self.tls_port = None
        if receiver.tls is not None:
            self.tls_port = _port("receiver.tls", receiver.host, receiver.tls.port, *taken)
            taken.add(self.tls_port)
        self.http_port = receiver.http.port
        if self.http_port is not None:
            self.http_port = _port("receiver.http", receiver.http.host, self.http_port, *taken)
            taken.add(self.http_port)
        self.server_port = None
        if settings.redis.url is None:
            self.server_port = free_port(embedded_server.HOST, taken)
        self.settings = self._in_force(settings)
        self._server_directory = settings.storage.root / "redis"
        self._lock: LockedFile | None = None

    def __enter__(self) -> "Stack":
        """Makes the storage tree, and claims the embedded server's directory.

        Raises:
            ServerDirectoryInUseError: another stack runs on this storage.
            WrongEngineError: the data there are a newer or another engine's.
        """
        StorageTree(self.settings.storage.root).create()
        if self.server_port is not None:
            self._lock = embedded_server.claim(self._server_directory, self.server_port)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def stages(self) -> list[list[Part]]:
        """For the supervisor: the intake opens last and closes first, the records outlast all."""
        work = [
            self._worker("exports", "dispatch,export"),
            self._worker("pipelines", "pipeline"),
        ]
        if self.settings.flower.enabled:
            # Nobody waits until it answers: no instance depends on it.
            work.append(self._penstock("flower", "flower", grace=_MARGIN))
        server = [] if self.server_port is None else [[self._server(self.server_port)]]
        return [*server, work, [self._receiver()]]

    def describe(self, console: Console) -> None:
        """Prints what runs, where to send to, and what is wrong with it."""
        console.print(summary(self.settings, embedded_server=self.server_port is not None))

    def _server(self, port: int) -> Part:
        assert self._lock is not None, "enter the stack first"
        return Part(
            name="redis",
            argv=embedded_server.command(self._server_directory, port),
            is_ready=lambda: embedded_server.answers(self._server_directory, port),
            descriptors=(self._lock.descriptor,),
        )

    def _receiver(self) -> Part:
        receiver = self.settings.receiver
        return self._penstock(
            "receiver",
            "receive",
            grace=receiver.drain_timeout + _MARGIN,
            is_ready=lambda: accepts_connections(receiver.host, receiver.served_port),
            rereads=True,
        )

    def _worker(self, name: str, queues: str) -> Part:
        grace = self.settings.workers.drain_timeout + _MARGIN
        return self._penstock(
            name, "work", "--queues", queues, "--name", name, grace=grace, rereads=True
        )

    def _penstock(
        self,
        name: str,
        *verb: str,
        grace: float,
        is_ready: Callable[[], bool] | None = None,
        rereads: bool = False,
    ) -> Part:
        return Part(
            name=name,
            argv=[sys.executable, "-P", "-m", "deploy", *self._options, *verb],
            environment=self._environment(),
            grace=grace,
            is_ready=is_ready,
            rereads=rereads,
        )

    def _environment(self) -> Mapping[str, str]:
        environment = {
            "PENSTOCK_RECEIVER__PORT": str(self.receiver_port),
            "PENSTOCK_FLOWER__PORT": str(self.flower_port),
        }
        if self.tls_port is not None:
            environment["PENSTOCK_RECEIVER__TLS__PORT"] = str(self.tls_port)
        if self.http_port is not None:
            environment["PENSTOCK_RECEIVER__HTTP__PORT"] = str(self.http_port)
        if self.server_port is not None:
            environment["PENSTOCK_REDIS__URL"] = embedded_server.url(self.server_port)
        return environment

    def _in_force(self, settings: Settings) -> Settings:
        http = settings.receiver.http.model_copy(update={"port": self.http_port})
        ports: dict[str, object] = {"port": self.receiver_port, "http": http}
        if settings.receiver.tls is not None:
            ports["tls"] = settings.receiver.tls.model_copy(update={"port": self.tls_port})
        changes = {
            "receiver": settings.receiver.model_copy(update=ports),
            "flower": settings.flower.model_copy(update={"port": self.flower_port}),
        }
        if self.server_port is not None:
            url = SecretStr(embedded_server.url(self.server_port))
            changes["redis"] = settings.redis.model_copy(update={"url": url})
        return settings.model_copy(update=changes)


def _port(section: str, host: str, port: int, *others: int) -> int:
    try:
        if port == 0:
            return free_port(host, others)
        check_port(host, port)
    except OSError as error:
        raise PortUnavailableError(f"{section}: {host}:{port}: {error.strerror or error}") from None
    return port
