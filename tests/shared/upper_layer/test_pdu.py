"""The control PDUs as records, with pynetdicom as the oracle."""

import struct
import time

import pytest
from hypothesis import given
from pynetdicom import pdu as oracle

from shared.upper_layer.associate import AssociateAccept, AssociateRequest
from shared.upper_layer.errors import AbortReason, LocalProtocolError, ProtocolError
from shared.upper_layer.items import encode_item
from shared.upper_layer.pdu import Abort, AssociateReject, ReleaseRequest, ReleaseResponse
from shared.upper_layer.presentation_context import AnsweredContext, ContextResult, ProposedContext
from shared.upper_layer.user_information import UserInformation

from . import strategies

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
REQUEST = AssociateRequest(
    "STORE", "CT01", (ProposedContext(1, CT, (EXPLICIT,)),), UserInformation(16384, "1.2.3")
)


def by_oracle(pdu_class, encoded):
    """What pynetdicom makes of our bytes, and the bytes it makes of its own primitive of them."""
    decoded = pdu_class()
    decoded.decode(encoded)
    again = pdu_class()
    again.from_primitive(decoded.to_primitive())
    return decoded, again.encode()


@given(strategies.associate_requests)
def test_an_associate_request_reads_alike_in_pynetdicom(request):
    encoded = request.encode()
    decoded, theirs = by_oracle(oracle.A_ASSOCIATE_RQ, encoded)
    assert decoded.encode() == encoded
    assert decoded.called_ae_title.strip() == request.called_ae_title
    assert decoded.calling_ae_title.strip() == request.calling_ae_title
    assert [
        ProposedContext(
            item.presentation_context_id, item.abstract_syntax, tuple(item.transfer_syntax)
        )
        for item in decoded.presentation_context
    ] == list(request.presentation_contexts)
    assert decoded.user_information.maximum_length == request.user_information.max_pdu_length
    assert AssociateRequest.decode(encoded[6:]) == request
    assert AssociateRequest.decode(theirs[6:]) == request


@given(strategies.associate_accepts)
def test_an_associate_accept_reads_alike_in_pynetdicom(accept):
    encoded = accept.encode()
    decoded = oracle.A_ASSOCIATE_AC()
    decoded.decode(encoded)
    assert [
        (item.presentation_context_id, item.result) for item in decoded.presentation_context
    ] == [(context.id, context.result) for context in accept.presentation_contexts]
    assert AssociateAccept.decode(encoded[6:]) == accept
    assert AssociateAccept.decode(decoded.encode()[6:]) == accept


@given(strategies.associate_rejects)
def test_a_rejection_reads_alike_in_pynetdicom(reject):
    _, theirs = by_oracle(oracle.A_ASSOCIATE_RJ, reject.encode())
    assert theirs == reject.encode()
    assert AssociateReject.decode(theirs[6:]) == reject


@given(strategies.aborts)
def test_an_abort_reads_alike_in_pynetdicom(abort):
    _, theirs = by_oracle(oracle.A_ABORT_RQ, abort.encode())
    assert theirs == abort.encode()
    assert Abort.decode(theirs[6:]) == abort


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(ReleaseRequest, oracle.A_RELEASE_RQ), (ReleaseResponse, oracle.A_RELEASE_RP)],
)
def test_a_release_is_encoded_as_by_pynetdicom(ours, theirs):
    assert ours().encode() == theirs().encode()
    assert ours.decode(theirs().encode()[6:]) == ours()


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        (b"STORE           ", "STORE"),
        (b"  STORE\0\0\0\0\0\0\0\0\0", "STORE"),
        (b"STORE  \0 \0       ", "STORE"),
        (b" " * 16, ""),
        (b"\xc4/\x07" + b" " * 13, "\xc4/\x07"),
    ],
)
def test_ae_titles_lose_their_padding_and_never_fail_to_decode(raw, title):
    body = bytearray(REQUEST.encode()[6:])
    body[4:20] = raw[:16].ljust(16)
    assert AssociateRequest.decode(bytes(body)).called_ae_title == title


def test_uids_lose_trailing_nuls_and_spaces():
    padded = AssociateRequest(
        "A", "B", (ProposedContext(1, CT + "\0", (EXPLICIT + " \0",)),), UserInformation()
    )
    decoded = AssociateRequest.decode(padded.encode()[6:])
    assert decoded.presentation_contexts == (ProposedContext(1, CT, (EXPLICIT,)),)


def test_unknown_items_and_sub_items_are_skipped():
    information = UserInformation(16384, "1.2.3")
    body = (
        REQUEST.encode()[6:74]
        + encode_item(0x77, b"whatever")
        + encode_item(0x10, b"1.2.840.10008.3.1.1.1")
        + encode_item(0x20, b"\1\0\0\0" + encode_item(0x31, b"?") + encode_item(0x30, CT.encode()))
        + encode_item(0x50, encode_item(0xF3, b"private") + information.encode())
    )
    decoded = AssociateRequest.decode(body)
    assert decoded.presentation_contexts == (ProposedContext(1, CT, ()),)
    assert decoded.user_information == information


def test_a_request_without_items_decodes_for_the_caller_to_judge():
    decoded = AssociateRequest.decode(REQUEST.encode()[6:74])
    assert decoded.application_context == ""
    assert decoded.presentation_contexts == ()
    assert decoded.user_information == UserInformation()


def test_an_unknown_context_result_is_a_refusal():
    accept = AssociateAccept(
        "A", "B", (AnsweredContext(1, ContextResult.ACCEPTANCE, EXPLICIT),), UserInformation()
    )
    encoded = accept.encode().replace(b"\x01\x00\x00\x00\x40", b"\x01\x00\x09\x00\x40")
    (context,) = AssociateAccept.decode(encoded[6:]).presentation_contexts
    assert context.result is ContextResult.NO_REASON


@pytest.mark.parametrize(
    "items",
    [
        encode_item(0x10, b"1.2")[:-1],
        b"\x10\0",
        encode_item(0x20, b"\1\0\0"),
        encode_item(0x20, b"\1\0\0\0" + b"\x40\0\0\x09short"),
        encode_item(0x50, b"\x51\0\0\x09" + bytes(4)),
        encode_item(0x50, encode_item(0x51, bytes(3))),
        encode_item(0x50, encode_item(0x54, struct.pack(">H", 99) + b"1.2.3")),
        encode_item(0x50, encode_item(0x57, b"\0\1" + b"1" + b"\0\1" + b"1" + b"\0\3\0\5x")),
        encode_item(0x50, encode_item(0x58, b"\1\0\xff\xff")),
    ],
)
def test_a_length_that_runs_over_its_container_is_an_invalid_parameter(items):
    with pytest.raises(ProtocolError) as caught:
        AssociateRequest.decode(REQUEST.encode()[6:74] + items)
    assert caught.value.reason is AbortReason.INVALID_PDU_PARAMETER_VALUE


@pytest.mark.parametrize("pdu", [AssociateRequest, AssociateAccept, AssociateReject, Abort])
def test_a_pdu_too_short_for_its_fixed_fields_is_an_invalid_parameter(pdu):
    with pytest.raises(ProtocolError) as caught:
        pdu.decode(b"\0")
    assert caught.value.reason is AbortReason.INVALID_PDU_PARAMETER_VALUE


def test_what_cannot_be_encoded_is_our_own_fault():
    with pytest.raises(LocalProtocolError):
        AssociateRequest("A" * 17, "B", (), UserInformation()).encode()
    with pytest.raises(LocalProtocolError):
        AssociateRequest("\u4e2d", "B", (), UserInformation()).encode()
    with pytest.raises(LocalProtocolError):
        encode_item(0x10, bytes(65536))


def test_rejections_and_aborts_are_described_in_words():
    assert AssociateReject(1, 1, 7).describe() == (
        "rejected permanently by the service user: called AE title not recognized"
    )
    assert AssociateReject(2, 3, 2).describe() == (
        "rejected transiently by the service provider (presentation): local limit exceeded"
    )
    assert AssociateReject(9, 8, 7).describe() == "rejected (result 9) by the source 8: reason 7"
    assert Abort(0, 6).describe() == "aborted by the service user"
    assert Abort(2, 2).describe() == "aborted by the service provider: unexpected pdu"
    assert Abort(2, 99).describe() == "aborted by the service provider: reason 99"


def test_many_presentation_contexts_decode_quickly():
    contexts = tuple(
        ProposedContext(2 * i + 1, f"{CT}.{i}", tuple(f"{EXPLICIT}.{j}" for j in range(30)))
        for i in range(128)
    )
    body = AssociateRequest("A", "B", contexts, UserInformation()).encode()[6:]
    start = time.perf_counter()
    decoded = AssociateRequest.decode(body)
    print(f"128 contexts of 30 transfer syntaxes: {(time.perf_counter() - start) * 1e3:.2f} ms")
    assert decoded.presentation_contexts == contexts
