"""The association's state machine (PS3.8 9.2, table 9-10) as tables: what may happen next?

Whatever decides that stands in this file. The transport is not seen from here: it is open when the
tables begin, and closing it is the owner's part once `AWAITING_CLOSE` is reached.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from shared.upper_layer.errors import AbortReason, LocalProtocolError, ProtocolError
from shared.upper_layer.pdu_header import PduType


class State(Enum):
    """The states of PS3.8 9.2.1, by the number of their Sta."""

    AWAITING_REQUEST = 2  # Sta2: transport open, A-ASSOCIATE-RQ to come
    AWAITING_LOCAL_ANSWER = 3  # Sta3: we are to accept or reject
    AWAITING_LOCAL_REQUEST = 4  # Sta4: transport opens, then we send A-ASSOCIATE-RQ
    AWAITING_ANSWER = 5  # Sta5: the peer is to accept or reject
    ESTABLISHED = 6  # Sta6: ready for data
    AWAITING_RELEASE_RESPONSE = 7  # Sta7: we asked for release
    AWAITING_LOCAL_RELEASE_RESPONSE = 8  # Sta8: the peer asked for release
    # Release collision: both asked at once, and the requestor answers first.
    COLLISION_AWAITING_LOCAL_FIRST = 9  # Sta9: requestor, to send its A-RELEASE-RP
    COLLISION_AWAITING_FIRST = 10  # Sta10: acceptor, A-RELEASE-RP to come
    COLLISION_AWAITING_SECOND = 11  # Sta11: requestor, A-RELEASE-RP to come
    COLLISION_AWAITING_LOCAL_SECOND = 12  # Sta12: acceptor, to send its A-RELEASE-RP
    AWAITING_CLOSE = 13  # Sta13: over; nothing more is sent, whatever comes is ignored


Transitions = Mapping[State, Mapping[PduType, State]]

_OVER: Final = {PduType.ABORT: State.AWAITING_CLOSE}


def _received(collision: State) -> Transitions:
    """The state after a PDU is received; what is absent is unexpected (AA-8).

    Only the release collision (AR-8) differs between requestor and acceptor.
    """
    return {
        State.AWAITING_REQUEST: {PduType.ASSOCIATE_RQ: State.AWAITING_LOCAL_ANSWER} | _OVER,
        State.AWAITING_LOCAL_ANSWER: _OVER,
        State.AWAITING_LOCAL_REQUEST: {},
        State.AWAITING_ANSWER: {
            PduType.ASSOCIATE_AC: State.ESTABLISHED,
            PduType.ASSOCIATE_RJ: State.AWAITING_CLOSE,
        }
        | _OVER,
        State.ESTABLISHED: {
            PduType.P_DATA_TF: State.ESTABLISHED,
            PduType.RELEASE_RQ: State.AWAITING_LOCAL_RELEASE_RESPONSE,
        }
        | _OVER,
        State.AWAITING_RELEASE_RESPONSE: {
            PduType.P_DATA_TF: State.AWAITING_RELEASE_RESPONSE,
            PduType.RELEASE_RQ: collision,
            PduType.RELEASE_RP: State.AWAITING_CLOSE,
        }
        | _OVER,
        State.AWAITING_LOCAL_RELEASE_RESPONSE: _OVER,
        State.COLLISION_AWAITING_LOCAL_FIRST: _OVER,
        State.COLLISION_AWAITING_FIRST: {PduType.RELEASE_RP: State.COLLISION_AWAITING_LOCAL_SECOND}
        | _OVER,
        State.COLLISION_AWAITING_SECOND: {PduType.RELEASE_RP: State.AWAITING_CLOSE} | _OVER,
        State.COLLISION_AWAITING_LOCAL_SECOND: _OVER,
        # Even the A-ABORT that AA-7 would answer with is left out: nothing after the end.
        State.AWAITING_CLOSE: dict.fromkeys(PduType, State.AWAITING_CLOSE),
    }


# The state after a PDU is sent; what is absent may not be sent.
_SENT: Final[Transitions] = {
    State.AWAITING_REQUEST: _OVER,
    State.AWAITING_LOCAL_ANSWER: {
        PduType.ASSOCIATE_AC: State.ESTABLISHED,
        PduType.ASSOCIATE_RJ: State.AWAITING_CLOSE,
    }
    | _OVER,
    State.AWAITING_LOCAL_REQUEST: {PduType.ASSOCIATE_RQ: State.AWAITING_ANSWER},
    State.AWAITING_ANSWER: _OVER,
    State.ESTABLISHED: {
        PduType.P_DATA_TF: State.ESTABLISHED,
        PduType.RELEASE_RQ: State.AWAITING_RELEASE_RESPONSE,
    }
    | _OVER,
    State.AWAITING_RELEASE_RESPONSE: _OVER,
    State.AWAITING_LOCAL_RELEASE_RESPONSE: {
        PduType.P_DATA_TF: State.AWAITING_LOCAL_RELEASE_RESPONSE,  # AR-7
        PduType.RELEASE_RP: State.AWAITING_CLOSE,
    }
    | _OVER,
    State.COLLISION_AWAITING_LOCAL_FIRST: {PduType.RELEASE_RP: State.COLLISION_AWAITING_SECOND}
    | _OVER,
    State.COLLISION_AWAITING_FIRST: _OVER,
    State.COLLISION_AWAITING_SECOND: _OVER,
    State.COLLISION_AWAITING_LOCAL_SECOND: {PduType.RELEASE_RP: State.AWAITING_CLOSE} | _OVER,
    State.AWAITING_CLOSE: {},
}


@dataclass(frozen=True, slots=True)
class Role:
    """Where one side of an association begins, and how it goes on."""

    start: State
    received: Transitions
    sent: Transitions


ACCEPTOR: Final = Role(State.AWAITING_REQUEST, _received(State.COLLISION_AWAITING_FIRST), _SENT)
REQUESTOR: Final = Role(
    State.AWAITING_LOCAL_REQUEST, _received(State.COLLISION_AWAITING_LOCAL_FIRST), _SENT
)


class StateMachine:
    """Where one association stands."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._enter(role.start)

    def expect(self, pdu_type: PduType) -> State:
        """The state that this PDU would lead to; a ProtocolError if it may not come now."""
        following = self._received.get(pdu_type)
        if following is None:
            raise ProtocolError(
                f"PDU type {pdu_type:02X}H in Sta{self.state.value}", AbortReason.UNEXPECTED_PDU
            )
        return following

    def received(self, pdu_type: PduType) -> None:
        self._enter(self.expect(pdu_type))

    def sent(self, pdu_type: PduType) -> None:
        following = self._sent.get(pdu_type)
        if following is None:
            raise LocalProtocolError(
                f"PDU type {pdu_type:02X}H may not be sent in Sta{self.state.value}"
            )
        if following is not self.state:
            self._enter(following)

    def _enter(self, state: State) -> None:
        self.state = state
        # Looked up here: each PDU asks, and few lead to another state.
        self._received = self._role.received[state]
        self._sent = self._role.sent[state]
