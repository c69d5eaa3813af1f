"""`penstock receive`: a file of its own, because a receiver loads nothing that others need."""

import typer

from deploy.cli.common import ExitCode, fail, invocation
from receiver.main import run
from shared import log
from shared.certificate_files import CertificateFileError


def receive(context: typer.Context) -> None:
    """Run a receiver (the SCP)."""
    settings = invocation(context).settings()
    log.configure(settings.log, "receiver")
    try:
        raise typer.Exit(run(settings))
    except CertificateFileError as error:
        fail(str(error), ExitCode.USAGE)
    except OSError as error:
        fail(f"the receiver cannot run: {error}")
