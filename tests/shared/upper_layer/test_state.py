"""The state tables against PS3.8 table 9-10."""

from dataclasses import replace

import pytest

from shared.upper_layer.errors import AbortReason, LocalProtocolError, ProtocolError
from shared.upper_layer.pdu_header import PduType
from shared.upper_layer.state import ACCEPTOR, REQUESTOR, State, StateMachine

ROLES = pytest.mark.parametrize("role", [ACCEPTOR, REQUESTOR], ids=["acceptor", "requestor"])

# Which PDUs table 9-10 lets a state receive, by Sta number, besides A-ABORT.
RECEIVABLE = {
    2: {PduType.ASSOCIATE_RQ},
    5: {PduType.ASSOCIATE_AC, PduType.ASSOCIATE_RJ},
    6: {PduType.P_DATA_TF, PduType.RELEASE_RQ},
    7: {PduType.P_DATA_TF, PduType.RELEASE_RQ, PduType.RELEASE_RP},
    10: {PduType.RELEASE_RP},
    11: {PduType.RELEASE_RP},
    13: set(PduType),
}


def machine_in(role, state):
    return StateMachine(replace(role, start=state))


@ROLES
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("pdu_type", PduType)
def test_what_table_9_10_does_not_list_is_an_unexpected_pdu(role, state, pdu_type):
    abort = set() if state is State.AWAITING_LOCAL_REQUEST else {PduType.ABORT}
    machine = machine_in(role, state)
    if pdu_type in RECEIVABLE.get(state.value, set()) | abort:
        machine.received(pdu_type)
    else:
        with pytest.raises(ProtocolError) as caught:
            machine.received(pdu_type)
        assert caught.value.reason is AbortReason.UNEXPECTED_PDU
        assert machine.state is state


@ROLES
def test_every_state_has_its_rows(role):
    assert set(role.received) == set(role.sent) == set(State)


@ROLES
@pytest.mark.parametrize("pdu_type", PduType)
def test_at_the_end_nothing_is_sent_and_everything_is_ignored(role, pdu_type):
    machine = machine_in(role, State.AWAITING_CLOSE)
    with pytest.raises(LocalProtocolError):
        machine.sent(pdu_type)
    machine.received(pdu_type)
    assert machine.state is State.AWAITING_CLOSE


@ROLES
def test_a_rejection_an_abort_and_a_release_response_lead_to_the_end(role):
    for transitions in (role.received, role.sent):
        for state, row in transitions.items():
            for pdu_type in (PduType.ASSOCIATE_RJ, PduType.ABORT):
                assert row.get(pdu_type, State.AWAITING_CLOSE) is State.AWAITING_CLOSE, state


@ROLES
def test_whatever_can_be_reached_can_be_aborted(role):
    reached, ahead = set(), {role.start}
    while ahead:
        state = ahead.pop()
        reached.add(state)
        ahead |= {*role.received[state].values(), *role.sent[state].values()} - reached
    for state in reached - {State.AWAITING_CLOSE, State.AWAITING_LOCAL_REQUEST}:
        assert PduType.ABORT in role.sent[state]


def test_a_release_collision_differs_by_role():
    state = State.AWAITING_RELEASE_RESPONSE
    assert REQUESTOR.received[state][PduType.RELEASE_RQ].value == 9
    assert ACCEPTOR.received[state][PduType.RELEASE_RQ].value == 10
