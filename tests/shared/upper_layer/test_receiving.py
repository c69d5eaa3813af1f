"""Bytes to events: splits, streaming, and what is malformed."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.upper_layer.association import Acceptor
from shared.upper_layer.c_services import EchoRequest, StoreRequest
from shared.upper_layer.dimse import UnsupportedRequest, encode_command
from shared.upper_layer.errors import AbortReason, ProtocolError
from shared.upper_layer.events import (
    AssociateRequested,
    DataEnded,
    DataFragment,
    MessageReceived,
    ReleaseRequested,
)

from .conversation import CT, accept, established, heard, p_data, pdu, request

STORE = StoreRequest(1, CT, "1.2.3")
STORE_COMMAND = encode_command(STORE)
ECHO_COMMAND = encode_command(EchoRequest(2))
DATA = bytes(range(256)) * 3

CONVERSATION = b"".join(
    (
        request().encode(),
        p_data((1, 3, STORE_COMMAND), (1, 0, DATA[:100])),
        p_data((1, 0, b""), (1, 0, DATA[100:500]), (1, 0, DATA[500:])),
        p_data((1, 2, b"")),
        p_data((3, 1, ECHO_COMMAND[:5])),
        p_data((3, 0xFF, ECHO_COMMAND[5:])),
        pdu(0x05, bytes(4)),
    )
)
EVENTS = [
    AssociateRequested(request()),
    MessageReceived(1, STORE),
    DATA,
    DataEnded(1),
    MessageReceived(3, EchoRequest(2)),
    ReleaseRequested(),
]


def converse(chunks):
    acceptor = Acceptor(16384)

    def react(event):
        if isinstance(event, AssociateRequested):
            accept(acceptor)

    return heard(acceptor, chunks, react)


def split(data, cuts):
    edges = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.lists(st.integers(0, len(CONVERSATION)), max_size=12))
def test_any_split_gives_the_same_events(cuts):
    assert converse(split(CONVERSATION, cuts)) == (EVENTS, None)


def test_one_byte_at_a_time_gives_the_same_events():
    assert converse(split(CONVERSATION, range(len(CONVERSATION)))) == (EVENTS, None)


@given(
    st.integers(0, len(CONVERSATION) - 1),
    st.integers(1, 255),
    st.lists(st.integers(0, len(CONVERSATION)), max_size=6),
)
def test_a_flipped_byte_ends_alike_in_any_split(position, flip, cuts):
    damaged = bytearray(CONVERSATION)
    damaged[position] ^= flip
    assert converse(split(bytes(damaged), cuts)) == converse([bytes(damaged)])


@given(st.binary(max_size=400), st.integers(0, 3))
def test_garbage_raises_nothing_but_protocol_errors(garbage, kind):
    acceptor, requestor = established()
    fresh = Acceptor()
    for association in (fresh, acceptor, requestor):
        heads = (b"", bytes((4, 0)), bytes((1, 0)), p_data((1, 3, STORE_COMMAND)))
        heard(association, [heads[kind] + garbage, garbage, garbage])


@given(st.binary(max_size=300), st.sampled_from([1, 2, 3, 5, 6, 7]))
def test_garbage_in_the_frame_of_a_pdu_raises_nothing_but_protocol_errors(garbage, pdu_type):
    for association in (Acceptor(), *established()):
        heard(association, [pdu(pdu_type, bytes(68) + garbage), pdu(pdu_type, garbage)])


@given(st.binary(max_size=200))
def test_garbage_as_a_command_set_raises_nothing_but_protocol_errors(garbage):
    acceptor, _ = established()
    heard(acceptor, [p_data((1, 3, garbage)), p_data((1, 3, STORE_COMMAND[:22] + garbage))])


@pytest.mark.parametrize("container", [bytes, bytearray, memoryview])
def test_fragments_are_slices_of_the_buffer_received(container):
    acceptor, _ = established()
    received = container(p_data((1, 3, STORE_COMMAND), (1, 0, DATA), (1, 2, DATA)))
    payloads = [e.payload for e in acceptor.receive(received) if isinstance(e, DataFragment)]
    assert [bytes(payload) for payload in payloads] == [DATA, DATA]
    owner = received.obj if container is memoryview else received
    assert all(payload.obj is owner for payload in payloads)


def test_what_there_is_of_a_fragment_goes_on_without_waiting_for_the_rest():
    acceptor, _ = established()
    received = p_data((1, 3, STORE_COMMAND), (1, 2, DATA))
    events, _ = heard(acceptor, [received[:-500]])
    assert events == [MessageReceived(1, STORE), DATA[:-500]]
    assert acceptor.mid_pdu
    assert heard(acceptor, [received[-500:]]) == ([DATA[-500:], DataEnded(1)], None)
    assert not acceptor.mid_pdu


def test_a_pdu_is_under_way_from_its_first_byte_to_its_last():
    acceptor = Acceptor()
    assert not acceptor.mid_pdu
    encoded = request().encode()
    for byte in encoded[:-1]:
        list(acceptor.receive(bytes((byte,))))
        assert acceptor.mid_pdu
    list(acceptor.receive(encoded[-1:]))
    assert not acceptor.mid_pdu


def test_each_pdu_under_way_has_a_number_of_its_own():
    acceptor, _ = established()
    first, second = p_data((1, 3, STORE_COMMAND)), p_data((1, 2, DATA))
    assert acceptor.pdu_under_way is None
    list(acceptor.receive(first[:1]))
    number = acceptor.pdu_under_way
    list(acceptor.receive(first[1:-1]))
    assert acceptor.pdu_under_way == number
    list(acceptor.receive(first[-1:] + second[:1]))
    assert acceptor.pdu_under_way == number + 1
    list(acceptor.receive(second[1:]))
    assert acceptor.pdu_under_way is None


def reason(association, data):
    """The abort reason that these bytes end in."""
    with pytest.raises(ProtocolError) as caught:
        list(association.receive(data))
    assert caught.value.source == 2
    return caught.value.reason


@pytest.mark.parametrize("pdu_type", [0x00, 0x08, 0x47, 0xFF])
def test_an_unknown_pdu_type_is_known_by_its_first_byte(pdu_type):
    assert reason(Acceptor(), bytes((pdu_type,))) is AbortReason.UNRECOGNIZED_PDU


def test_a_pdu_out_of_turn_is_known_by_its_first_byte():
    assert reason(Acceptor(), b"\x04") is AbortReason.UNEXPECTED_PDU


@pytest.mark.parametrize("length", [(1 << 20) + 1, 300_000_000, 0xFFFFFFFF])
def test_a_control_pdu_over_the_bound_is_refused_by_its_header(length):
    header = b"\x01\0" + length.to_bytes(4, "big")
    assert reason(Acceptor(), header) is AbortReason.INVALID_PDU_PARAMETER_VALUE


def test_data_over_the_announced_maximum_is_refused_by_its_header():
    acceptor, _ = established(max_pdu_length=16384)
    header = b"\x04\0" + (16385).to_bytes(4, "big")
    assert reason(acceptor, header) is AbortReason.INVALID_PDU_PARAMETER_VALUE


def test_without_an_announced_maximum_any_length_goes():
    acceptor, _ = established(max_pdu_length=0)
    received = p_data((1, 3, STORE_COMMAND)) + p_data((1, 2, bytes(300_000)))
    assert heard(acceptor, [received])[1] is None


INVALID = AbortReason.INVALID_PDU_PARAMETER_VALUE
UNEXPECTED = AbortReason.UNEXPECTED_PDU_PARAMETER


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(pdu(4, b""), INVALID, id="P-DATA-TF without a PDV"),
        pytest.param(pdu(4, bytes(5)), INVALID, id="P-DATA-TF shorter than a PDV"),
        pytest.param(pdu(4, b"\0\0\0\0\x01\x03"), INVALID, id="PDV of length 0"),
        pytest.param(pdu(4, b"\0\0\0\x01\x01\x03\0"), INVALID, id="PDV of length 1"),
        pytest.param(pdu(4, b"\0\0\0\x09\x01\x03abc"), INVALID, id="PDV longer than its PDU"),
        pytest.param(pdu(4, b"\xff\xff\xff\xff\x01\x03abc"), INVALID, id="PDV of 4 GB"),
        pytest.param(pdu(4, b"\0\0\0\x02\x01\x01" + bytes(3)), INVALID, id="bytes after a PDV"),
        pytest.param(p_data((0, 3, ECHO_COMMAND)), INVALID, id="context 0"),
        pytest.param(p_data((2, 3, ECHO_COMMAND)), INVALID, id="even context"),
        pytest.param(p_data((5, 3, ECHO_COMMAND)), INVALID, id="refused context"),
        pytest.param(p_data((7, 3, ECHO_COMMAND)), INVALID, id="context not proposed"),
        pytest.param(p_data((1, 2, DATA)), UNEXPECTED, id="data without a command"),
        pytest.param(
            p_data((1, 1, STORE_COMMAND[:20]), (1, 2, DATA)), UNEXPECTED, id="data in a command"
        ),
        pytest.param(
            p_data((1, 3, STORE_COMMAND), (1, 3, STORE_COMMAND)),
            UNEXPECTED,
            id="command where data is expected",
        ),
        pytest.param(
            p_data((1, 3, STORE_COMMAND), (1, 0, DATA), (3, 3, ECHO_COMMAND)),
            UNEXPECTED,
            id="another context in a data set",
        ),
        pytest.param(
            p_data((1, 1, STORE_COMMAND[:20]), (3, 3, ECHO_COMMAND)),
            UNEXPECTED,
            id="another context in a command",
        ),
        pytest.param(
            p_data((3, 3, ECHO_COMMAND), (3, 2, DATA)), UNEXPECTED, id="data after an echo"
        ),
        pytest.param(p_data((1, 3, b"garbage")), INVALID, id="undecodable command"),
        pytest.param(p_data((1, 1, bytes(16000))) * 5, INVALID, id="command over 64 KiB"),
    ],
)
def test_malformed_data_ends_in_the_reason_of_the_standard(data, expected):
    acceptor, _ = established()
    assert reason(acceptor, data) is expected


def test_what_came_before_a_fault_is_told_first():
    acceptor, _ = established()
    received = p_data((1, 3, STORE_COMMAND), (1, 0, DATA)) + b"\xff"
    assert heard(acceptor, [received]) == (
        [MessageReceived(1, STORE), DATA],
        AbortReason.UNRECOGNIZED_PDU,
    )


@pytest.mark.parametrize(
    "unfinished", [p_data((1, 3, STORE_COMMAND), (1, 0, DATA)), p_data((3, 1, ECHO_COMMAND[:9]))]
)
def test_a_release_in_the_middle_of_a_message_is_unexpected(unfinished):
    acceptor, _ = established()
    assert heard(acceptor, [unfinished, pdu(5, bytes(4))])[1] is AbortReason.UNEXPECTED_PDU


def test_the_data_set_of_an_unsupported_request_is_received():
    acceptor, _ = established()
    find = UnsupportedRequest(0x0020, 9, has_data_set=True)
    received = p_data((1, 3, encode_command(find)), (1, 2, b"query!"))
    events, _ = heard(acceptor, [received])
    assert events == [MessageReceived(1, find), b"query!", DataEnded(1)]


def test_control_pdus_may_be_longer_than_they_need_but_not_their_content_shorter():
    acceptor, _ = established()
    assert heard(acceptor, [pdu(5, b"")]) == ([ReleaseRequested()], None)
    acceptor, _ = established()
    assert reason(acceptor, pdu(7, b"\0")) is INVALID
