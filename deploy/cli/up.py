"""`penstock up` and `penstock demo`: the whole gateway on one machine."""

import typer
from rich.console import Console

from deploy.cli.common import ExitCode, fail, invocation
from deploy.demo.run import run as run_demo
from deploy.embedded_server import ServerDirectoryInUseError
from deploy.engine import WrongEngineError
from deploy.processes.supervisor import PartsNotReadyError, Supervisor
from deploy.stack import PortUnavailableError, Stack
from shared import log


def up(context: typer.Context) -> None:
    """Run the whole gateway in the foreground until Ctrl-C."""
    settings = invocation(context).settings()
    log.configure(settings.log, "up")
    console = Console()
    try:
        with Stack(settings, settings.source) as stack:
            Supervisor(stack.stages()).run(when_ready=lambda: stack.describe(console))
    except (PortUnavailableError, ServerDirectoryInUseError, WrongEngineError) as error:
        fail(str(error), ExitCode.USAGE)
    except PartsNotReadyError as error:
        fail(str(error))


def demo() -> None:
    """Send a real study through a whole gateway, and show what happened."""
    raise typer.Exit(run_demo(Console()))
