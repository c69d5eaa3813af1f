"""`penstock config`: write, check and show the settings."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import tomli_w
import typer

from deploy.cli.common import AsJson, ExitCode, fail, invocation
from deploy.cli.jsonable import to_json
from deploy.modalities import unknown_modalities
from receiver.certificates import Certificates
from shared.certificate_files import CertificateFileError
from shared.settings import Settings
from shared.settings.load import DEFAULT_FILE
from workers.pipelines.kinds import kind_of
from workers.scu.tls import client_context

app = typer.Typer(help="Write, check and show the settings.", no_args_is_help=True)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="The file to write")] = DEFAULT_FILE,
) -> None:
    """Write a commented settings file; an existing one is never overwritten."""
    try:
        with path.open("x") as file:
            file.write((files("deploy") / "settings_template.toml").read_text())
    except FileExistsError:
        fail(f"{path} exists already", ExitCode.USAGE)
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    typer.echo(f"wrote {path}")


@app.command()
def check(context: typer.Context) -> None:
    """Check the settings, and whether this machine can run their pipelines and speak their TLS."""
    settings = invocation(context).settings()
    faults = _certificate_faults(settings) + [
        f"pipelines.{name}: {fault}"
        for name, section in settings.pipelines.items()
        for fault in kind_of(section).check(section)
    ]
    if faults:
        fail("\n".join(faults))
    for doubt in unknown_modalities(settings):
        typer.echo(f"perhaps a mistake: {doubt}")
    typer.echo(f"{settings.source or 'the defaults'}: all is well")


def _certificate_faults(settings: Settings) -> list[str]:
    faults = []
    try:
        Certificates.of(settings.receiver)
    except CertificateFileError as error:
        faults.append(str(error))
    for name, destination in settings.destinations.items():
        if destination.tls is not None:
            try:
                client_context(destination.tls, f"destinations.{name}.tls")
            except CertificateFileError as error:
                faults.append(str(error))
    return faults


@app.command()
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the settings in force: file, environment, secrets (masked) and defaults together."""
    settings = invocation(context).settings()
    if as_json:
        typer.echo(to_json(settings))
    else:
        typer.echo(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))
