"""`penstock send`: files to a destination by hand, with the exporter's own SCU."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.progress import Progress, TaskID

from deploy.cli.common import ExitCode, fail, invocation
from deploy.cli.named_destination import named_destination
from deploy.cli.progress import progress_bar
from deploy.screens.words import size, span
from shared.delivery import INSTANCE_SUFFIX
from shared.part10 import NotPart10Error, read_file_meta
from shared.result_files import result_files
from shared.settings.sections import Destination
from shared.sop_classes import is_storage, name_of
from workers.exports.outgoing import Outgoing, by_association
from workers.exports.store_status import Verdict, judge
from workers.scu.association import ScuAssociation, associate
from workers.scu.contexts import contexts_for
from workers.scu.errors import ScuError
from workers.scu.peer import Caller, Peer

_TLS = "TLS, without --destination"


def send(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(metavar="PATH... [HOST PORT]", help="Files and folders, and where to"),
    ],
    destination: Annotated[
        str | None,
        typer.Option("--destination", help="One of the settings, in the place of HOST PORT"),
    ] = None,
    called: Annotated[str, typer.Option("-aec", "--called", help="Called AE title")] = "ANY-SCP",
    calling: Annotated[
        str | None,
        typer.Option("-aet", "--calling", help="Calling AE title [default: exporter.ae_title]"),
    ] = None,
    connect_timeout: Annotated[
        float | None, typer.Option("-to", "--connect-timeout", metavar="SECONDS", min=0.001)
    ] = None,
    association_timeout: Annotated[
        float | None, typer.Option("-ta", "--association-timeout", metavar="SECONDS", min=0.001)
    ] = None,
    response_timeout: Annotated[
        float | None, typer.Option("-td", "--response-timeout", metavar="SECONDS", min=0.001)
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Send all of it so many times")] = 1,
    tls: Annotated[
        bool, typer.Option("+tla", "--tls", help="Speak TLS", rich_help_panel=_TLS)
    ] = False,
    tls_own: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "+tls",
            "--tls-own",
            metavar="KEY CERTIFICATE",
            help="Speak TLS and show this certificate (PEM files)",
            rich_help_panel=_TLS,
        ),
    ] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(
            "+cf",
            "--tls-ca",
            metavar="FILE",
            help="Who signed the peer's [default: whom the system trusts]",
            rich_help_panel=_TLS,
        ),
    ] = None,
    tls_any_host: Annotated[
        bool,
        typer.Option(
            "--tls-any-host", help="The peer's may be for another name", rich_help_panel=_TLS
        ),
    ] = False,
) -> None:
    """Send DICOM files as they are stored (C-STORE), and all that there are in folders."""
    settings = invocation(context).settings()
    if calling is not None:
        exporter = settings.exporter.model_copy(update={"ae_title": calling})
        settings = settings.model_copy(update={"exporter": exporter})
    if destination is not None:
        to = named_destination(settings, destination)
    else:
        if len(words) < 3:
            _usage("PATH... HOST PORT, or --destination NAME")
        *words, host, port = words
        key, certificate = tls_own or (None, None)
        section = {
            "ca": tls_ca,
            "certificate": certificate,
            "key": key,
            "verify_host_name": not tls_any_host,
        }
        to = _destination(called, host, port, section if tls or tls_own else None)
    timeouts = {
        "connect_timeout": connect_timeout,
        "association_timeout": association_timeout,
        "response_timeout": response_timeout,
    }
    to = to.model_copy(update={name: each for name, each in timeouts.items() if each is not None})
    files = [file for word in words for file in _files(Path(word))]
    if not files:
        fail("no DICOM file is there to send", ExitCode.USAGE)
    _Sending(Peer.of(to), Caller.of(settings, to), files, repeat).run()


def _usage(message: str) -> NoReturn:
    fail(f"penstock send {message}", ExitCode.USAGE)


def _destination(
    called: str, host: str, port: str, tls: dict[str, Path | bool | None] | None
) -> Destination:
    try:
        return Destination.model_validate(
            {"ae_title": called, "host": host, "port": port, "tls": tls}
        )
    except ValidationError as error:
        _usage("\n".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors()))


def _files(path: Path) -> Iterator[Outgoing]:
    """A file; or each one in a folder that is an instance, whatever its name."""
    try:
        if not path.is_dir():
            yield Outgoing(path.name, path, read_file_meta(path))
            return
        for found in result_files(path):
            try:
                meta = read_file_meta(found)
            except NotPart10Error as error:
                if found.name.endswith(INSTANCE_SUFFIX):
                    fail(f"{found}: {error}", ExitCode.USAGE)
                continue
            if is_storage(meta.sop_class_uid):  # a DICOMDIR, say, is none
                yield Outgoing(str(found.relative_to(path)), found, meta)
    except (NotPart10Error, OSError) as error:
        fail(f"{path}: {error}", ExitCode.USAGE)


@dataclass
class _Sending:
    """All of the files, in one association or as many as they need."""

    peer: Peer
    caller: Caller
    files: list[Outgoing]
    repeat: int
    sent: int = 0
    size: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by what was answered

    def run(self) -> None:
        total = len(self.files) * self.repeat
        began = time.monotonic()
        lost = ""
        with progress_bar() as progress:
            task = progress.add_task("sending", total=total)
            try:
                for part in by_association(self.files):
                    self._send(part, progress, task)
            except ScuError as error:
                lost = str(error)
        seconds = time.monotonic() - began
        typer.echo(
            f"{self.sent} of {total} instances sent: {size(self.size)} in {span(seconds)},"
            f" {self.sent / seconds:.0f}/s, {size(round(self.size / seconds))}/s"
        )
        for answer, count in self.refused.most_common():
            typer.echo(f"{count} refused: {answer}")
        if lost:
            fail(lost)
        if self.refused:
            raise typer.Exit(ExitCode.FAILED)

    def _send(self, files: list[Outgoing], progress: Progress, task: TaskID) -> None:
        contexts = contexts_for(file.meta for file in files)
        with associate(self.peer, self.caller, contexts) as association:
            files = files * self.repeat
            for file, following in zip(files, [*files[1:], None], strict=True):
                if refusal := self._refusal(association, file, following):
                    self.refused[refusal] += 1
                    line = f"{file.name}: {refusal}"
                    progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
                else:
                    self.sent += 1
                    self.size += file.path.stat().st_size
                progress.advance(task)

    def _refusal(
        self, association: ScuAssociation, file: Outgoing, following: Outgoing | None
    ) -> str:
        """Why the peer does not take it; empty where it does."""
        if not association.accepts(file.meta):
            syntax = name_of(file.meta.transfer_syntax_uid)
            return f"{name_of(file.meta.sop_class_uid)} in {syntax} was not accepted"
        response = association.store(*file.file, following.file if following else None)
        if judge(response.status) in (Verdict.DELIVERED, Verdict.WARNING):
            return ""
        status = "none" if response.status is None else f"{response.status:04X}"
        return f"status {status} {response.error_comment}".rstrip()
