"""What each side may send, and what it sends."""

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage
from pynetdicom.pdu import P_DATA_TF

from shared.upper_layer.associate import AssociateAccept
from shared.upper_layer.association import Acceptor, Requestor
from shared.upper_layer.c_services import EchoRequest, EchoResponse, StoreRequest, StoreResponse
from shared.upper_layer.errors import AbortReason, LocalProtocolError, ProtocolError
from shared.upper_layer.events import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    AssociateRequested,
    DataEnded,
    DataFragment,
    MessageReceived,
    ReleaseConfirmed,
    ReleaseRequested,
)
from shared.upper_layer.pdu import AssociateReject
from shared.upper_layer.presentation_context import AnsweredContext, ContextResult
from shared.upper_layer.state import State
from shared.upper_layer.status import Status
from shared.upper_layer.user_information import UserInformation

from .conversation import CONTEXTS, CT, EXPLICIT, accept, established, heard, pdu, request


def test_an_accepted_association_is_known_on_both_sides():
    acceptor, requestor = established(max_pdu_length=32768, peer_max_pdu_length=16384)
    assert acceptor.state is requestor.state is State.ESTABLISHED
    assert sorted(acceptor.accepted) == sorted(requestor.accepted) == [1, 3]
    assert requestor.accepted[1] == AnsweredContext(1, ContextResult.ACCEPTANCE, EXPLICIT)
    assert acceptor.peer_max_pdu_length == 16384
    assert requestor.peer_max_pdu_length == 32768


def test_the_accept_echoes_the_titles_as_they_came_and_announces_our_maximum():
    encoded = bytearray(request().encode())
    encoded[10:74] = b"STORE\0\0\0\0\0\0\0\0\0\0\0" + b"  CT01          " + bytes(range(32))
    acceptor = Acceptor(65536)
    (event,) = acceptor.receive(encoded)
    assert event == AssociateRequested(request())
    answer = accept(acceptor)
    assert answer[10:74] == encoded[10:74]
    assert AssociateAccept.decode(answer[6:]).user_information.max_pdu_length == 65536


def test_a_context_accepted_otherwise_than_proposed_counts_as_refused():
    acceptor, requestor = Acceptor(), Requestor(request())
    list(acceptor.receive(requestor.associate()))
    answers = (
        AnsweredContext(1, ContextResult.ACCEPTANCE, "1.2.840.10008.1.2.99"),
        AnsweredContext(3, ContextResult.ACCEPTANCE, EXPLICIT),
        AnsweredContext(9, ContextResult.ACCEPTANCE, EXPLICIT),
    )
    (event,) = requestor.receive(acceptor.accept(answers, UserInformation()))
    assert isinstance(event, AssociateAccepted)
    assert list(requestor.accepted) == [3]


def test_nothing_is_sent_or_heard_after_a_rejection():
    acceptor, requestor = Acceptor(), Requestor(request())
    list(acceptor.receive(requestor.associate()))
    rejection = acceptor.reject(1, 1, 7)
    assert list(requestor.receive(rejection)) == [AssociateRejected(AssociateReject(1, 1, 7))]
    for association in (acceptor, requestor):
        assert association.state is State.AWAITING_CLOSE
        assert list(association.receive(b"\xffgarbage")) == []
        for send in (association.abort, association.release, association.release_response):
            with pytest.raises(LocalProtocolError):
                send()
    with pytest.raises(LocalProtocolError):
        accept(acceptor)
    with pytest.raises(LocalProtocolError):
        requestor.send_command(1, EchoRequest(1))


def test_nothing_is_sent_or_heard_after_an_abort():
    acceptor, requestor = established()
    abort = acceptor.abort(2, AbortReason.UNEXPECTED_PDU)
    assert list(requestor.receive(abort + b"\xff")) == [Aborted(2, 2)]
    for association in (acceptor, requestor):
        assert list(association.receive(pdu(7, bytes(4)))) == []
        with pytest.raises(LocalProtocolError):
            association.abort()
    with pytest.raises(LocalProtocolError):
        acceptor.respond(1, EchoResponse(1, Status.SUCCESS))


def test_an_abort_by_the_owner_ends_the_events_of_what_was_received():
    acceptor, requestor = established()
    received = requestor.send_command(1, StoreRequest(1, CT, "1.2"))
    received += b"".join(requestor.data_pdus(1, memoryview(bytes(100)), True))
    events = acceptor.receive(received)
    assert isinstance(next(events), MessageReceived)
    assert isinstance(next(events), DataFragment)
    acceptor.abort()
    assert list(events) == []


def test_a_release_goes_through():
    acceptor, requestor = established()
    assert list(acceptor.receive(requestor.release())) == [ReleaseRequested()]
    assert list(requestor.receive(acceptor.release_response())) == [ReleaseConfirmed()]
    assert acceptor.state is requestor.state is State.AWAITING_CLOSE


def test_responses_may_follow_a_release_request_but_no_request():
    acceptor, requestor = established()
    release = requestor.release()
    with pytest.raises(LocalProtocolError):
        requestor.send_command(1, EchoRequest(1))
    list(acceptor.receive(release))
    response = acceptor.respond(3, EchoResponse(1, Status.SUCCESS))
    assert list(requestor.receive(response)) == [MessageReceived(3, EchoResponse(1, 0))]


def test_in_a_release_collision_the_requestor_answers_first():
    acceptor, requestor = established()
    from_acceptor, from_requestor = acceptor.release(), requestor.release()
    assert list(requestor.receive(from_acceptor)) == [ReleaseRequested()]
    assert list(acceptor.receive(from_requestor)) == [ReleaseRequested()]
    assert acceptor.state is State.COLLISION_AWAITING_FIRST
    with pytest.raises(LocalProtocolError):
        acceptor.release_response()
    assert list(acceptor.receive(requestor.release_response())) == [ReleaseConfirmed()]
    assert list(requestor.receive(acceptor.release_response())) == [ReleaseConfirmed()]
    assert acceptor.state is requestor.state is State.AWAITING_CLOSE


def test_what_may_not_be_sent_yet_is_our_own_fault():
    acceptor, requestor = Acceptor(), Requestor(request())
    with pytest.raises(LocalProtocolError):
        accept(acceptor)
    with pytest.raises(LocalProtocolError):
        requestor.release()
    requestor.associate()
    with pytest.raises(LocalProtocolError):
        requestor.associate()
    with pytest.raises(LocalProtocolError):
        requestor.data_pdus(1, memoryview(b"ab"), True)


def test_a_context_that_was_not_accepted_may_not_be_used():
    acceptor, requestor = established()
    with pytest.raises(LocalProtocolError):
        requestor.send_command(5, EchoRequest(1))
    with pytest.raises(LocalProtocolError):
        requestor.data_pdus(7, memoryview(b"ab"), True)
    with pytest.raises(LocalProtocolError):
        acceptor.respond(5, EchoResponse(1, Status.SUCCESS))


def test_a_data_set_is_ended_before_anything_else_is_sent():
    _, requestor = established()
    with pytest.raises(LocalProtocolError):
        requestor.data_pdus(1, memoryview(b"ab"), True)
    requestor.send_command(1, StoreRequest(1, CT, "1.2"))
    requestor.data_pdus(1, memoryview(b"ab"), False)
    with pytest.raises(LocalProtocolError):
        requestor.release()
    with pytest.raises(LocalProtocolError):
        requestor.send_command(3, EchoRequest(2))
    requestor.data_pdus(1, memoryview(b"cd"), True)
    requestor.release()


def send(requestor, data, pieces):
    """One instance, its data set handed over in pieces."""
    buffers = [requestor.send_command(1, StoreRequest(7, CT, "1.2.3"))]
    for start in range(0, len(data) or 1, pieces):
        last = start + pieces >= len(data)
        buffers += requestor.data_pdus(1, memoryview(data)[start : start + pieces], last)
    return buffers


@settings(max_examples=50)
@given(
    st.binary(max_size=3000).map(lambda data: data[: len(data) & ~1]),
    st.sampled_from([8, 9, 16, 128, 1000, 16384, 0, 2**32 - 1]),
    st.integers(1, 600).map(lambda n: 2 * n),
)
def test_a_data_set_arrives_as_it_was_sent_within_the_peers_maximum(data, maximum, pieces):
    acceptor, requestor = established(max_pdu_length=maximum)
    sent = b"".join(send(requestor, data, pieces))
    events, error = heard(acceptor, [sent])
    assert error is None
    assert events[0] == MessageReceived(1, StoreRequest(7, CT, "1.2.3"))
    assert b"".join(e for e in events if isinstance(e, bytes)) == data
    assert events[-1] == DataEnded(1)


def test_pynetdicom_reads_a_whole_store_request_of_ours():
    _, requestor = established(max_pdu_length=256)
    data = bytes(range(256)) * 4
    sent = BytesIO(b"".join(send(requestor, data, 600)))
    message, complete = DIMSEMessage(), False
    while header := sent.read(6):
        theirs = P_DATA_TF()
        theirs.decode(header + sent.read(int.from_bytes(header[2:], "big")))
        assert not complete
        complete = message.decode_msg(theirs.to_primitive())
    assert complete
    assert isinstance(message, C_STORE_RQ)
    primitive = message.message_to_primitive()
    assert primitive.MessageID == 7
    assert primitive.DataSet.getvalue() == data


def test_data_pdus_are_slices_of_the_data_set():
    _, requestor = established(max_pdu_length=16384)
    requestor.send_command(1, StoreRequest(1, CT, "1.2"))
    data = bytes(100_000)
    buffers = requestor.data_pdus(1, memoryview(data), True)
    payloads = buffers[1::2]
    assert all(isinstance(p, memoryview) and p.obj is data for p in payloads)
    assert sum(map(len, payloads)) == len(data)
    assert max(map(len, payloads)) == 16384 - 6
    assert all(len(payload) % 2 == 0 for payload in payloads)


def test_an_unlimited_peer_gets_no_more_than_our_own_cap():
    _, requestor = established(max_pdu_length=0)
    requestor.send_command(1, StoreRequest(1, CT, "1.2"))
    buffers = requestor.data_pdus(1, memoryview(bytes(300_000)), True)
    assert max(map(len, buffers)) == 131072 - 6


@pytest.mark.parametrize("maximum", [1, 7])
def test_a_peer_that_leaves_no_room_for_a_fragment_is_refused(maximum):
    with pytest.raises(ProtocolError) as caught:
        list(Acceptor().receive(request(maximum).encode()))
    assert caught.value.reason is AbortReason.INVALID_PDU_PARAMETER_VALUE


def test_a_response_is_fragmented_for_a_peer_with_a_small_maximum():
    acceptor, requestor = established(peer_max_pdu_length=32)
    response = StoreResponse(1, CT, "1.2.3", Status.OUT_OF_RESOURCES, "no space left")
    assert list(requestor.receive(acceptor.respond(1, response))) == [MessageReceived(1, response)]


def test_a_piece_without_bytes_is_sent_only_to_end_the_data_set():
    _, requestor = established()
    requestor.send_command(1, StoreRequest(1, CT, "1.2"))
    assert requestor.data_pdus(1, memoryview(b""), False) == []
    header, payload = requestor.data_pdus(1, memoryview(b""), True)
    assert (len(header), len(payload)) == (12, 0)


def test_the_proposal_is_sent_as_given():
    encoded = Requestor(request()).associate()
    (event,) = Acceptor().receive(encoded)
    assert event.request.presentation_contexts == CONTEXTS
