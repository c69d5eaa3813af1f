"""What a worker process has at hand; made once, given to whoever needs it."""

import threading
from dataclasses import dataclass, field

from shared.registry.gate import Gate
from shared.registry.jobs import JobRecords
from shared.settings import Settings
from shared.settings.live import LiveSettings
from shared.step_line import StepLine
from shared.tree import StorageTree


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The patient gate and records are for what must be said; the hasty ones for what may wait."""

    name: str  # of this process, new at each start
    live: LiveSettings
    tree: StorageTree
    gate: Gate
    records: JobRecords
    hasty_gate: Gate
    hasty_records: JobRecords
    line: StepLine
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def who(self) -> str:
        """This worker in the history of a job: the same name after each start."""
        return self.name.partition("/")[0]

    @property
    def settings(self) -> Settings:
        return self.live.now
