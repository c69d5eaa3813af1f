"""`penstock jobs files`: what a job's pipeline has left."""

import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from deploy.cli.common import AsJson, ExitCode, fail, invocation, output
from deploy.cli.jsonable import to_json
from deploy.cli.records import gateway
from deploy.screens.tables import number, table, text
from deploy.screens.words import plain, size
from shared.job_files import JobFiles
from shared.registry.views import UnknownJobError


def attach(app: typer.Typer) -> None:
    """Makes this a verb of `penstock jobs`."""
    app.command()(files)


def files(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="A job's id, or its end")],
    copy_to: Annotated[
        Path | None, typer.Option(help="Copy them into this folder, which is new or empty")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the files of a job's result, those that are not exported too, or copy them."""
    found = _find(context, job_id)
    if found.result_folder is None:
        fail("it has no result, or not yet")
    if copy_to is not None:
        _copy(found, found.result_folder, copy_to)
    if as_json:
        typer.echo(to_json(found.result))
    elif copy_to is None:
        listed = table(text("file"), number("size"))
        for file in found.result:
            listed.add_row(Text(plain(file.name)), size(file.size))
        output().print(listed)
    else:
        typer.echo(f"{len(found.result)} files copied to {copy_to}")


def _find(context: typer.Context, job_id: str) -> JobFiles:
    with gateway(invocation(context).settings()) as asked:
        try:
            files = asked.job(job_id).files
        except UnknownJobError as error:
            fail(str(error))
        except OSError as error:
            fail(f"the storage cannot be read: {error.strerror}")
    if files is None:
        fail("the storage is not here, or does not have its files any more")
    return files


def _copy(files: JobFiles, folder: Path, target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        fail(f"{target} is not an empty folder", ExitCode.USAGE)
    try:
        target.mkdir(parents=True, exist_ok=True)
        for file in files.result:
            (target / file.name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / file.name, target / file.name, follow_symlinks=False)
    except OSError as error:
        fail(f"not all could be copied: {error.strerror}")
