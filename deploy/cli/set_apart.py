"""What `penstock aborted` and `penstock quarantine` share: how errors end, how things are said."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from redis import RedisError

from deploy.cli.common import ExitCode, fail, invocation
from deploy.cli.records import redis_url
from deploy.screens.words import moment
from shared.decision import DecidedAlreadyError, RefusedError, UnknownDeliveryError, discard
from shared.delivery import Delivery
from shared.settings import Settings
from shared.tree import StorageTree
from workers.context import WorkerContext, connected

Id = Annotated[str, typer.Argument(metavar="ID", help="A delivery's id, or its end")]


@contextmanager
def acting() -> Iterator[None]:
    """Each way in which an act can fail has its exit code, and words."""
    try:
        yield
    except (UnknownDeliveryError, RefusedError) as error:
        fail(str(error))
    except DecidedAlreadyError as error:
        typer.echo(f"{error} was committed before; nothing to do")
    except RedisError as error:
        message = f"Redis does not answer: {type(error).__name__}; nothing was changed"
        fail(message, ExitCode.UNAVAILABLE)
    except OSError as error:
        fail(f"the storage failed: {error.strerror}")


def attach_discard(app: typer.Typer, folder: Callable[[StorageTree], Path]) -> None:
    """Makes it a verb for what stands in that folder."""

    @app.command("discard")
    def discard_(context: typer.Context, delivery_id: Id) -> None:
        """Remove it with all its files."""
        storage = invocation(context).settings().storage
        tree = StorageTree(storage.root)
        with acting():
            done = discard(tree, folder(tree), delivery_id, storage.trash_retention)
            typer.echo(f"{done} discarded")


def context_of(settings: Settings) -> WorkerContext:
    return connected(settings, redis_url(settings), "command")


def told(announced: bool) -> str:
    if announced:
        return "its dispatch is submitted"
    return "Redis does not answer: a worker finds it by itself once it does"


def removal(at: datetime | None) -> str:
    return f"to be removed {moment(at)}" if at else "not removed by itself"


def described(delivery: Delivery | None, **fields: object) -> dict[str, Any]:
    """A delivery with its instances counted, and what else there is to say of it: for JSON."""
    known = delivery.model_dump(exclude={"instances"}) if delivery else {}
    if delivery:
        known["instances"] = len(delivery.instances)
        known["size"] = delivery.size
    return known | fields
