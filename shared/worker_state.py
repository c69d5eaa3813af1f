"""How a worker process stands, as it says of itself every few seconds."""

from datetime import datetime

from shared.delivery import Record


class WorkerState(Record):
    id: str  # new at each start
    name: str  # shown in Flower
    host: str  # the machine's name
    pid: int
    since: datetime
    revision: str  # of its settings
    places: dict[str, int]  # by queue: how many steps of it run at once
    running: tuple[str, ...]  # ids of the steps that run now
    last_canary: datetime | None  # when it last consumed; None: not yet
    draining: bool
