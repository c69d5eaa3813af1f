"""What a worker process has at hand; made once, given to whoever needs it."""

import threading
from dataclasses import dataclass, field

import structlog

from shared.registry.gate import Gate
from shared.registry.jobs import JobRecords
from shared.settings import InvalidSettingsError, Settings, load
from shared.step_line import StepLine
from shared.tree import StorageTree

log = structlog.get_logger()


class LiveSettings:
    """The settings of a process that lives long; read again when a delivery knows newer ones."""

    def __init__(self, settings: Settings) -> None:
        self.now = settings

    def reread(self) -> None:
        """Takes the file's settings if they are valid; otherwise the old ones stay."""
        try:
            self.now = load(self.now.source)
        except InvalidSettingsError as error:
            log.error("new settings refused", faults=error.faults)


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
    def settings(self) -> Settings:
        return self.live.now
