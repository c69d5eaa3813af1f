"""The command sets, with pydicom as the oracle."""

from io import BytesIO

import pytest
from hypothesis import given
from pynetdicom.dsutils import decode as decode_dataset
from pynetdicom.dsutils import encode as encode_dataset

from shared.upper_layer.c_services import EchoResponse, StoreRequest, StoreResponse
from shared.upper_layer.dimse import (
    UnsupportedRequest,
    UnsupportedResponse,
    decode_command,
    encode_command,
)
from shared.upper_layer.errors import AbortReason, LocalProtocolError, ProtocolError
from shared.upper_layer.n_services import EventReportRequest
from shared.upper_layer.status import Status

from . import strategies

CT = "1.2.840.10008.5.1.4.1.1.2"


def dataset(message):
    return decode_dataset(BytesIO(encode_command(message)), True, True)


def element(number, value):
    return b"\0\0" + number.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value


@given(strategies.messages)
def test_every_message_reads_alike_in_pydicom(message):
    encoded = encode_command(message)
    command = dataset(message)
    assert command.CommandGroupLength == len(encoded) - 12
    assert (command.CommandDataSetType != 0x0101) is message.has_data_set
    assert decode_command(encoded) == message
    assert decode_command(encode_dataset(command, True, True)) == message


def test_an_error_comment_is_cut_to_what_its_representation_holds():
    response = StoreResponse(1, CT, "1.2", Status.OUT_OF_RESOURCES, "full \u2014 " + "x" * 100)
    comment = dataset(response).ErrorComment
    assert len(comment) == 64
    assert comment.startswith("full ? x")


@pytest.mark.parametrize("status", [b"", element(0x0900, b"")])
def test_a_response_without_a_status_has_none(status):
    command = element(0x0100, b"\x01\x80") + element(0x0120, b"\x07\0") + status
    assert decode_command(command) == StoreResponse(7, "", "", None)


@pytest.mark.parametrize("uid", [b"../x", b"\xff\0\x80\r\n", b"", b"1" * 66, b"1.2\0\0", b"1.2  "])
def test_any_uid_decodes_for_the_caller_to_judge(uid):
    command = (
        element(0x0100, b"\x01\0")
        + element(0x0110, b"\x01\0")
        + element(0x0800, b"\0\0")
        + element(0x1000, uid)
    )
    message = decode_command(command)
    assert isinstance(message, StoreRequest)
    assert message.sop_instance_uid == uid.decode("latin-1").rstrip("\0 ")


def test_a_report_without_its_type_decodes_for_the_caller_to_judge():
    command = element(0x0100, b"\0\1") + element(0x0110, b"\5\0") + element(0x0800, b"\1\1")
    assert decode_command(command) == EventReportRequest(5, "", "", None, has_data_set=False)


def test_other_services_are_known_by_field_and_answered_in_kind():
    find = (
        element(0x0100, b"\x20\0")
        + element(0x0110, b"\x05\0")
        + element(0x0800, b"\x01\0")
        + element(0x0002, b"1.2")
    )
    request = decode_command(find)
    assert request == UnsupportedRequest(0x0020, 5, has_data_set=True)
    answer = UnsupportedResponse(5, request.command_field, Status.UNRECOGNIZED_OPERATION)
    assert dataset(answer).CommandField == 0x8020
    assert dataset(answer).Status == 0x0211


def test_a_response_is_taken_to_have_no_data_set_whatever_it_says():
    command = (
        element(0x0100, b"\x30\x80")
        + element(0x0120, b"\x01\0")
        + element(0x0800, b"\0\0")
        + element(0x0900, b"\0\0")
    )
    message = decode_command(command)
    assert message == EchoResponse(1, 0)
    assert not message.has_data_set


@pytest.mark.parametrize(
    "command",
    [
        b"",
        b"\0\0\0",
        element(0x0110, b"\1\0"),
        element(0x0100, b"\x30\0"),
        element(0x0100, b"\x30\0") + element(0x0110, b"\1"),
        element(0x0100, b"\x30\0") + element(0x0110, b"\1\0")[:-1],
        b"\x08\0\x16\0\0\0\0\0",
        element(0x0100, b"\1\0") + element(0x0110, b"\1\0"),
        element(0x0100, b"\1\0") + element(0x0110, b"\1\0") + element(0x0800, b"\1\1"),
    ],
)
def test_an_undecodable_command_set_is_an_invalid_parameter(command):
    with pytest.raises(ProtocolError) as caught:
        decode_command(command)
    assert caught.value.reason is AbortReason.INVALID_PDU_PARAMETER_VALUE


def test_a_value_over_two_bytes_is_our_own_fault():
    with pytest.raises(LocalProtocolError):
        encode_command(StoreRequest(65536, CT, "1.2"))
