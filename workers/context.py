"""What a worker process has at hand; made once, given to whoever needs it."""

import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.announce import leases
from shared.broker import celery_app
from shared.ids import new_id
from shared.job import Job
from shared.registry.connection import connect
from shared.registry.gate import Gate
from shared.registry.jobs import JobRecords
from shared.settings import Settings
from shared.settings.live import LiveSettings
from shared.settings.sections import PipelineSection
from shared.step_line import StepLine
from shared.tree import StorageTree
from workers.steps.running import Running


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
    running: Running
    stopping: threading.Event = field(default_factory=threading.Event)
    waiting: dict[str, Job] = field(default_factory=dict)  # jobs whose group is open, as last seen

    @property
    def id(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def who(self) -> str:
        """This worker in the history of a job: the same name after each start."""
        return self.name.partition("/")[0]

    @property
    def settings(self) -> Settings:
        return self.live.now

    def pipeline(self, name: str) -> PipelineSection | None:
        """Its section; where it is unknown, the settings are read again."""
        if name not in self.settings.pipelines:
            self.live.reread()
        return self.settings.pipelines.get(name)


def connected(
    settings: Settings,
    url: str,
    name: str,
    *,
    places: int = 0,
    patience: int = 0,
    fixed: Iterable[str] = (),
) -> WorkerContext:
    """A process's surroundings; no connection is opened yet.

    Args:
        places: how many steps it may run at once.
        patience: tries, about a second apart, to say what must be said, until it stops.
        fixed: the settings that this process cannot change.
    """
    stopping = threading.Event()
    patient, hasty = connect(url, patience=patience, over=stopping), connect(url)
    periods = leases(settings)
    return WorkerContext(
        name=f"{name}@{socket.gethostname()}/{new_id()}",
        live=LiveSettings(settings, fixed),
        tree=StorageTree(settings.storage.root),
        gate=Gate(patient, periods),
        records=JobRecords(patient),
        hasty_gate=Gate(hasty, periods),
        hasty_records=JobRecords(hasty),
        line=StepLine(Gate(hasty, periods), celery_app(url)),
        running=Running(places),
        stopping=stopping,
    )
