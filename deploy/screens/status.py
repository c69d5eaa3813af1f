"""How the whole gateway stands, on one screen."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.screens.destinations_table import how_it_stands
from deploy.screens.jobs_table import STYLES
from deploy.screens.tables import number, table, whole
from deploy.screens.words import moment, since, size
from shared.job_state import JobState
from shared.receiver_state import ReceiverState
from shared.registry.destinations import DestinationView
from shared.registry.queues import QueueView
from shared.status import Status, StorageCounts
from shared.worker_state import WorkerState


def status_screen(status: Status) -> RenderableType:
    """Names are shown as they are, never as markup."""
    parts = [
        _receivers(status.receivers),
        _workers(status.workers),
        _queues(status.queues),
        _destinations(status.destinations),
        _jobs(status),
        _storage(status.storage),
    ]
    faults = [Text(fault, style="bold red") for fault in status.faults]
    well = Text("all is well", style="green")
    return Group(*(line for part in parts for line in (part, Text())), *(faults or [well]))


def _receivers(states: list[ReceiverState]) -> Table:
    receivers = table(
        *map(whole, ("receiver", "associations", "half open")),
        *map(number, ("instances", "received")),
        *map(whole, ("disk", "free", "since")),
    )
    for state in states:
        receivers.add_row(
            Text(f"{state.host}:{state.port}"),
            f"{state.associations} of {state.limit}" + (", draining" if state.draining else ""),
            str(state.half_open),
            str(state.instances),
            size(state.bytes),
            f"{state.used_percent:.0f} % of {state.watermark_percent:g} %"
            + (", full" if state.storage_full else ""),
            size(state.free),
            moment(state.since),
        )
    return receivers


def _workers(states: list[WorkerState]) -> Table:
    workers = table(
        whole("worker"),
        *map(number, ("pid", "places", "running")),
        *map(whole, ("consumed", "since")),
    )
    for state in states:
        workers.add_row(
            Text(f"{state.name}@{state.host}") + (", draining" if state.draining else ""),
            str(state.pid),
            str(sum(state.places.values())),
            str(len(state.running)),
            "" if state.last_canary is None else f"{since(state.last_canary)} ago",
            moment(state.since),
        )
    return workers


def _queues(views: list[QueueView]) -> Table:
    queues = table(
        whole("queue"),
        *map(number, ("waiting", "retrying", "running", "elsewhere", "places", "workers")),
        whole("oldest waits"),
    )
    for view in views:
        steps = view.waiting, view.retrying, view.running, view.elsewhere
        oldest = "" if view.oldest is None else since(view.oldest)
        queues.add_row(view.queue, *map(str, (*steps, view.places, view.workers)), oldest)
    return queues


def _destinations(views: list[DestinationView]) -> Table:
    destinations = table(
        whole("destination"),
        *map(number, ("waiting", "sending", "retrying", "unconfirmed", "failed")),
        whole("oldest job waits"),
        whole(""),
    )
    for view in views:
        numbers = view.waiting, view.sending, view.retrying, view.unconfirmed, view.failed
        oldest = "" if view.oldest is None else since(view.oldest)
        how = Text(how_it_stands(view.health), style="bold red" if view.owed else "dim")
        destinations.add_row(view.name, *map(str, numbers), oldest, how)
    return destinations


def _jobs(status: Status) -> Table:
    jobs = table(whole("jobs"), *map(number, JobState))
    for name, counts in (("now", status.jobs), ("made in the last hour", status.jobs_lately)):
        cells = (Text(str(n), style=STYLES.get(s, "") if n else "dim") for s, n in counts.items())
        jobs.add_row(name, *cells)
    return jobs


def _storage(counts: StorageCounts | None) -> RenderableType:
    if counts is None:
        return Text("the storage is not mounted here", style="dim")
    storage = table(whole("storage"), *map(number, ("to dispatch", "aborted", "quarantine")))
    numbers = counts.committed, counts.aborted, counts.quarantine
    storage.add_row("deliveries", *map(str, numbers))
    return storage
