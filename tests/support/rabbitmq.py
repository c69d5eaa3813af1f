"""A RabbitMQ of the tests' own: its own folder, ports and name, ended with its block."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from deploy.system import accepts_connections, free_port
from tests.support.waiting import wait_for

HOST = "127.0.0.1"
# The one on the PATH changes to a user and to folders of the system's.
_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


@contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    """Its URL, as a broker for Celery."""
    assert _PROGRAM.exists(), "rabbitmq-server is not installed; `make peers` does it"
    folder.mkdir()
    ports: list[int] = []
    for _ in range(3):
        ports.append(free_port(HOST, ports))
    port, distribution, names = ports
    (folder / "rabbitmq.conf").write_text("disk_free_limit.absolute = 1MB\n")
    environment = os.environ | {
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": HOST,
        "ERL_EPMD_PORT": str(names),
        "RABBITMQ_NODENAME": f"tests-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": HOST,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_LOGS": "-",
    }
    with (folder / "rabbitmq.log").open("wb") as log:
        # epmd, which tells nodes from each other, would otherwise be started as a daemon, and stay.
        programs = [
            subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            for command in (["epmd", "-relaxed_command_check"], [str(_PROGRAM)])
        ]
    try:
        wait_for(partial(accepts_connections, HOST, port), 60)
        yield f"amqp://guest:guest@{HOST}:{port}//"
    finally:
        for each in programs:
            os.killpg(each.pid, signal.SIGKILL)  # it has nothing to lose
            each.wait()
