"""What can go wrong: the peer's faults, which are answered with an A-ABORT, and our own."""

from enum import IntEnum


class AbortSource(IntEnum):
    """Who aborts (PS3.8 table 9-26)."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Why the service provider aborts (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PDU_PARAMETER = 4
    UNEXPECTED_PDU_PARAMETER = 5
    INVALID_PDU_PARAMETER_VALUE = 6


class ProtocolError(Exception):
    """The peer broke the protocol; to be answered with an A-ABORT of this source and reason.

    The message may be logged: it holds lengths, types and ids, never text sent by the peer.
    """

    source = AbortSource.SERVICE_PROVIDER

    def __init__(
        self, message: str, reason: AbortReason = AbortReason.INVALID_PDU_PARAMETER_VALUE
    ) -> None:
        super().__init__(message)
        self.reason = reason


class LocalProtocolError(Exception):
    """Our own side asked for something that may not be sent now, or cannot be encoded."""
