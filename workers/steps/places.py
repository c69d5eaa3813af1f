"""This worker's places: announced over and over, and filled with what the gate admits."""

from collections.abc import Mapping

from shared.locked_file import LockedFile
from shared.pauses import Pauses
from shared.registry.step import Queue
from shared.settings import Settings
from shared.tree import StorageTree
from workers.attempts.handover import engines_work
from workers.context import WorkerContext


class Places:
    """How many steps of each queue this process runs at once."""

    def __init__(self, context: WorkerContext, places: Mapping[Queue, int]) -> None:
        self._context = context
        self._places = dict(places)
        self._pauses = Pauses(context.tree, context.hasty_gate)
        self._introduced = False

    def tick(self) -> None:
        """
        Raises:
            redis.RedisError: Redis is away; to be called again.
        """
        gate = self._context.hasty_gate
        settings = self._context.settings
        gate.set_caps(caps(settings), settings.as_of)  # each time: Redis may have been emptied
        self._pauses.tell()
        if not self._introduced:
            if nothing_runs(self._context.tree):
                gate.open()
            self._introduced = True
        gate.announce_places(self._context.name, self._places)
        for queue in Queue:
            self._context.line.call_up(queue)

    def withdraw(self) -> None:
        """From now on nothing is admitted for this worker."""
        self._places = dict.fromkeys(self._places, 0)


def caps(settings: Settings) -> dict[str, int]:
    """How many steps of a queue or a lane may run at once over all workers."""
    found: dict[str, int] = {Queue.EXPORT: settings.exporter.max_concurrent_sends}
    for name, pipeline in settings.pipelines.items():
        if pipeline.max_parallel is not None:
            found[f"pipeline:{name}"] = pipeline.max_parallel
    for name, destination in settings.destinations.items():
        if destination.max_concurrent_sends is not None:
            found[f"export:{name}"] = destination.max_concurrent_sends
    return found


def nothing_runs(tree: StorageTree) -> bool:
    """Whether no attempt and no send is alive on any machine: each holds a lock while it is.

    Nor an engine elsewhere at work, as far as is known.
    """
    for pattern in ("*/run.lock", "*/sent-*.log"):
        for path in tree.jobs.glob(pattern):
            held = LockedFile.try_lock(path)
            if held is None:
                return False
            held.close()
    return not engines_work(tree)
