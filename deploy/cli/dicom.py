"""`penstock echo` and `penstock send`: the exporter's own SCU by hand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.cli.common import ExitCode, fail, invocation
from shared.part10 import NotPart10Error, read_file_meta
from shared.sop_classes import name_of
from workers.exports.outgoing import Outgoing, by_association, outgoing_in
from workers.exports.store_status import Verdict, judge
from workers.scu.association import associate
from workers.scu.contexts import VERIFICATION_CONTEXT, contexts_for
from workers.scu.errors import NotAcceptedError, ScuError
from workers.scu.peer import Caller, Peer


def echo(
    context: typer.Context,
    destination: Annotated[str, typer.Argument(help="A destination of the settings")],
) -> None:
    """Ask a destination whether it is there (C-ECHO)."""
    settings = invocation(context).settings()
    found = settings.destinations.get(destination)
    if found is None:
        known = ", ".join(settings.destinations) or "none"
        fail(f"no destination is named {destination!r}; there are: {known}", ExitCode.USAGE)
    peer = Peer(found.ae_title, found.host, found.port)
    try:
        with associate(peer, Caller.of(settings), [VERIFICATION_CONTEXT]) as association:
            status = association.echo()
    except (ScuError, NotAcceptedError) as error:
        fail(f"{destination}: {error}")
    if status != 0:
        fail(f"{destination}: answered with status {'none' if status is None else f'{status:04X}'}")
    typer.echo(f"{destination}: {found.ae_title} at {found.host}:{found.port} answers")


def send(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, and folders of *.dcm")],
    host: Annotated[str, typer.Argument()],
    port: Annotated[int, typer.Argument(min=1, max=65535)],
    called: Annotated[str, typer.Option("-aec", "--called", help="Called AE title")] = "ANY-SCP",
    calling: Annotated[
        str | None,
        typer.Option(
            "-aet", "--calling", help="Calling AE title", show_default="exporter.ae_title"
        ),
    ] = None,
) -> None:
    """Send DICOM files as they are stored (C-STORE)."""
    settings = invocation(context).settings()
    if calling is not None:
        exporter = settings.exporter.model_copy(update={"ae_title": calling})
        settings = settings.model_copy(update={"exporter": exporter})
    files = [file for path in paths for file in _outgoing(path)]
    if not files:
        fail("no DICOM file is there to send", ExitCode.USAGE)
    refused = 0
    try:
        with _progress() as progress:
            task = progress.add_task("sending", total=len(files))
            for part in by_association(files):
                for line in _send(Peer(called, host, port), Caller.of(settings), part):
                    if line:
                        refused += 1
                        progress.console.print(line, markup=False, highlight=False)
                    progress.advance(task)
    except ScuError as error:
        fail(str(error))
    typer.echo(f"{len(files) - refused} of {len(files)} instances sent")
    if refused:
        raise typer.Exit(ExitCode.FAILED)


def _outgoing(path: Path) -> list[Outgoing]:
    try:
        if path.is_dir():
            return outgoing_in(path)
        return [Outgoing(path.name, path, read_file_meta(path))]
    except (NotPart10Error, OSError) as error:
        fail(f"{path}: {error}", ExitCode.USAGE)


def _send(peer: Peer, caller: Caller, files: list[Outgoing]) -> Iterator[str]:
    """One association; for each file why it was not taken, or an empty text."""
    with associate(peer, caller, contexts_for(file.meta for file in files)) as association:
        for file in files:
            try:
                response = association.store(file.path, file.meta)
            except NotAcceptedError:
                yield f"{file.name}: {name_of(file.meta.sop_class_uid)} was not accepted"
                continue
            if judge(response.status) in (Verdict.DELIVERED, Verdict.WARNING):
                yield ""
            else:
                status = "none" if response.status is None else f"{response.status:04X}"
                yield f"{file.name}: status {status} {response.error_comment}".rstrip()


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
