"""How the whole gateway stands, on one screen: receivers, disk, queues, jobs, what is wrong."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from redis import Redis
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shared.job import JobState
from shared.receiver_state import ReceiverState
from shared.registry.queues import QueueView, queues
from shared.registry.receivers import receivers
from shared.registry.views import count_jobs

_GB = 10**9


@dataclass(frozen=True, slots=True)
class Status:
    receivers: list[ReceiverState]
    queues: list[QueueView]
    jobs: dict[JobState, int]

    @property
    def faults(self) -> list[str]:
        """Why something that is sent to us now would be refused, or would lie."""
        return list(_faults(self))


def read_status(redis: Redis) -> Status:
    """
    Raises:
        redis.RedisError: Redis is away.
    """
    return Status(receivers(redis), queues(redis), count_jobs(redis))


def as_json(status: Status) -> dict[str, Any]:
    return {
        "receivers": [state.model_dump(mode="json") for state in status.receivers],
        "queues": [asdict(view) for view in status.queues],
        "jobs": status.jobs,
        "faults": status.faults,
    }


def screen(status: Status) -> RenderableType:
    """Names are shown as they are, never as markup."""
    return Group(
        _receivers(status.receivers),
        "",
        _queues(status.queues),
        "",
        _jobs(status.jobs),
        *(Text(fault, style="bold red") for fault in status.faults),
    )


def _faults(status: Status) -> Iterator[str]:
    if not status.receivers:
        yield "no receiver runs"
    for state in status.receivers:
        if state.draining:
            yield f"{_name(state)} is being stopped"
        elif state.storage_full:
            yield (
                f"{_name(state)} refuses instances: {state.used_percent:.0f} % of its disk is"
                f" used, {state.free / _GB:.1f} GB are free"
            )
    for view in status.queues:
        if not view.places:
            yield f"no worker takes {view.queue} steps"


def _receivers(states: list[ReceiverState]) -> Table:
    table = Table(
        "receiver", "associations", "half open", "instances", "disk", "free", "since", box=None
    )
    for state in states:
        table.add_row(
            Text(_name(state)),
            f"{state.associations} of {state.limit}",
            str(state.half_open),
            str(state.instances),
            f"{state.used_percent:.0f} % of {state.watermark_percent:g} %",
            f"{state.free / _GB:.1f} GB",
            f"{state.since.astimezone():%Y-%m-%d %H:%M:%S}",
        )
    return table


def _name(state: ReceiverState) -> str:
    return f"{state.host}:{state.port}"


def _queues(views: list[QueueView]) -> Table:
    table = Table("queue", "waiting", "retrying", "running", "places", "workers", box=None)
    for view in views:
        numbers = view.waiting, view.retrying, view.running, view.places, view.workers
        table.add_row(view.queue, *map(str, numbers))
    return table


def _jobs(counts: dict[JobState, int]) -> Table:
    table = Table("jobs", *counts, box=None)
    table.add_row("", *map(str, counts.values()))
    return table
