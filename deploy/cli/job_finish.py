"""`penstock jobs finish`: an engine elsewhere tells how its attempt of a job ended."""

from typing import Annotated

import typer
from pydantic import ValidationError

from deploy.cli.common import ExitCode, fail, invocation
from deploy.cli.records import records, redis_url


def attach(app: typer.Typer) -> None:
    """Makes it a verb of `penstock jobs`."""
    app.command()(finish)


def finish(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job, as the engine was told")],
    token: Annotated[str, typer.Option(help="The token that came with the call")],
    succeeded: Annotated[
        bool | None, typer.Option("--succeeded/--failed", help="How it ended", show_default=False)
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="With --failed: another attempt may help")
    ] = False,
    message: Annotated[str, typer.Option(help="A line for the job's history")] = "",
) -> None:
    """Tell how an engine's attempt of a job ended; told again, it is the same."""
    # Only here: the other verbs of `jobs` are there without Celery.
    from workers.attempts.callback import CallbackRefusedError
    from workers.attempts.callback import finish as finish_attempt
    from workers.attempts.handover import Told
    from workers.context import connected

    if succeeded is None:
        fail("either --succeeded or --failed", ExitCode.USAGE)
    if succeeded and retry:
        fail("--retry goes with --failed", ExitCode.USAGE)
    told = Told.SUCCEEDED if succeeded else Told.RETRY if retry else Told.FAILED
    settings = invocation(context).settings()
    with records(settings) as redis:
        redis.ping()
        try:
            surroundings = connected(settings, redis_url(settings), "engine")
            answer = finish_attempt(surroundings, job_id, token, told, message)
        except CallbackRefusedError as error:
            fail(f"{job_id}: not taken: {error}")
        except OSError as error:
            fail(f"{job_id}: not taken: the storage failed: {error.strerror}")
        except ValidationError:
            fail(f"{job_id}: not taken: its record on disk is damaged")
    typer.echo(f"{job_id}: {answer.told}")
