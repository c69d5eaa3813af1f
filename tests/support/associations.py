"""Ended associations and receivers' states, made up."""

from datetime import UTC, datetime
from typing import Any

from shared.ended_association import EndedAssociation
from shared.receiver_state import ReceiverState

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def ended_association(number: int = 1, **changes: Any) -> EndedAssociation:
    values: dict[str, Any] = {
        "id": f"20261122T120000-{number:012x}",
        "receiver": "20261122T110000-0123456789ab",
        "peer": "10.1.2.3",
        "calling": "CT01",
        "called": "BRAIN",
        "contexts_offered": 3,
        "contexts_accepted": 2,
        "instances": 4,
        "bytes": 2_100_000,
        "seconds": 1.25,
        "ended": NOON,
        "end": "released",
    }
    return EndedAssociation(**values | changes)


def receiver_state(**changes: Any) -> ReceiverState:
    values: dict[str, Any] = {
        "id": "20261122T110000-0123456789ab",
        "host": "gateway",
        "pid": 42,
        "address": "0.0.0.0",
        "port": 11112,
        "since": NOON,
        "revision": "0123456789ab",
        "associations": 3,
        "limit": 25,
        "half_open": 1,
        "instances": 100,
        "bytes": 52_600_000,
        "draining": False,
        "storage_full": False,
        "used_percent": 40.5,
        "watermark_percent": 75,
        "free": 60_000_000_000,
    }
    return ReceiverState(**values | changes)
