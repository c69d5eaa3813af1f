"""What an association tells its owner about what the peer sent."""

from dataclasses import dataclass

from shared.upper_layer.associate import AssociateAccept, AssociateRequest
from shared.upper_layer.dimse import Message
from shared.upper_layer.pdu import AssociateReject


@dataclass(frozen=True, slots=True)
class AssociateRequested:
    request: AssociateRequest


@dataclass(frozen=True, slots=True)
class AssociateAccepted:
    accept: AssociateAccept


@dataclass(frozen=True, slots=True)
class AssociateRejected:
    reject: AssociateReject


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A command is complete; if `message.has_data_set`, fragments and a `DataEnded` follow."""

    context_id: int
    message: Message


@dataclass(frozen=True, slots=True)
class DataFragment:
    """A piece of the data set: a slice of the received buffer, valid until the next `receive`."""

    payload: memoryview


@dataclass(frozen=True, slots=True)
class DataEnded:
    """The data set is complete, and with it the message."""

    context_id: int


@dataclass(frozen=True, slots=True)
class ReleaseRequested:
    pass


@dataclass(frozen=True, slots=True)
class ReleaseConfirmed:
    pass


@dataclass(frozen=True, slots=True)
class Aborted:
    source: int
    reason: int


Event = (
    AssociateRequested
    | AssociateAccepted
    | AssociateRejected
    | MessageReceived
    | DataFragment
    | DataEnded
    | ReleaseRequested
    | ReleaseConfirmed
    | Aborted
)
