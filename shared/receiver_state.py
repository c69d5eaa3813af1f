"""How a receiver stands, as it says of itself every few seconds."""

from datetime import datetime

from shared.delivery import Record


class ReceiverState(Record):
    id: str  # new at each start; also its folder in `incoming/`
    host: str  # the machine's name
    pid: int
    address: str  # that it listens on
    port: int
    since: datetime
    revision: str  # of its settings
    associations: int  # open now
    limit: int  # of those
    half_open: int  # connections that have not asked for an association
    instances: int  # kept since its start
    bytes: int
    draining: bool
    storage_full: bool  # over the watermark, under the reserve, or not to be read
    used_percent: float
    watermark_percent: float
    free: int  # bytes
