"""How the whole gateway stands, and what is wrong with it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from redis import Redis

from shared.job_state import JobState
from shared.receiver_state import ReceiverState
from shared.registry.destinations import Breaker, DestinationView, destinations
from shared.registry.held_up import HeldUp, held_up
from shared.registry.queues import QueueView, queues
from shared.registry.receivers import receivers
from shared.registry.views import count_jobs
from shared.registry.workers import workers
from shared.tree import StorageTree, ids_in
from shared.worker_state import WorkerState

LATELY = timedelta(hours=1)
_LONG_AGO = timedelta(seconds=30)  # for a worker to have consumed, which it does every few
_GB = 10**9
_IN_WORDS = {Breaker.TROUBLED: "troubled", Breaker.OPEN: "down"}


@dataclass(frozen=True, slots=True)
class StorageCounts:
    """Deliveries in the folders of the storage tree that people must look after."""

    committed: int  # released, and not dispatched yet
    aborted: int
    quarantine: int


@dataclass(frozen=True, slots=True)
class Status:
    receivers: list[ReceiverState]
    workers: list[WorkerState]
    queues: list[QueueView]
    destinations: list[DestinationView]
    jobs: dict[JobState, int]
    jobs_lately: dict[JobState, int]  # of those made within the last hour
    storage: StorageCounts | None  # None where the storage is not mounted
    held_up: HeldUp

    @property
    def faults(self) -> list[str]:
        """Why something that is sent to us now would be refused, stay here, or needs a person."""
        return list(_faults(self))


def read_status(redis: Redis, tree: StorageTree | None, names: Iterable[str] = ()) -> Status:
    """
    Args:
        names: destinations to be shown though no job had them yet.

    Raises:
        redis.RedisError: Redis is away.
    """
    return Status(
        receivers=receivers(redis),
        workers=workers(redis),
        queues=queues(redis),
        held_up=held_up(redis),
        destinations=destinations(redis, names),
        jobs=count_jobs(redis),
        jobs_lately=count_jobs(redis, datetime.now(UTC) - LATELY),
        storage=None if tree is None else _counts(tree),
    )


def _counts(tree: StorageTree) -> StorageCounts | None:
    folders = (tree.committed, tree.aborted, tree.quarantine)
    try:
        return StorageCounts(*(sum(1 for _ in ids_in(folder)) for folder in folders))
    except OSError:  # away, or another machine's
        return None


def _faults(status: Status) -> Iterator[str]:
    if not status.receivers:
        yield "no receiver runs"
    for state in status.receivers:
        name = f"{state.host}:{state.port}"
        if state.draining:
            yield f"{name} is being stopped"
        elif state.storage_full:
            yield (
                f"{name} refuses instances: {state.used_percent:.0f} % of its disk is"
                f" used, {state.free / _GB:.1f} GB are free"
            )
    for worker in status.workers:
        if datetime.now(UTC) - (worker.last_canary or worker.since) > _LONG_AGO:
            yield f"{worker.name}@{worker.host} takes no steps, and is about to start anew"
    for view in status.queues:
        if not view.places:
            yield f"no worker takes {view.queue} steps"
    if status.held_up.steps:
        yield (
            f"the storage or a worker's machine holds steps up: {status.held_up.steps}, the first"
            f" since {status.held_up.since:%Y-%m-%d %H:%M} UTC: {status.held_up.reason}"
        )
    for destination in status.destinations:
        yield from _destination_faults(destination)
    if status.storage is not None and status.storage.quarantine:
        yield f"deliveries in quarantine, for a person to judge: {status.storage.quarantine}"


def _destination_faults(destination: DestinationView) -> Iterator[str]:
    name, health = destination.name, destination.health
    if health.refusal:
        yield f"{name} refuses what any export sends, for a person to mend: {health.refusal}"
    if not destination.owed:
        return
    if health.paused:
        yield f"{name} is paused, and exports wait for it: {destination.owed}"
    elif health.breaker is not Breaker.CLOSED:
        yield f"{name} is {_IN_WORDS[health.breaker]}, and exports wait for it: {destination.owed}"
