"""The command sets with data of their own, with pynetdicom as the oracle."""

from io import BytesIO
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import dimse_messages
from pynetdicom.dimse_primitives import C_STORE, N_ACTION, N_EVENT_REPORT

from shared.upper_layer.dimse import decode_command

from . import strategies
from .test_dimse import dataset

REQUEST = {"MessageID": "message_id"}
RESPONSE = {
    "MessageIDBeingRespondedTo": "message_id_responded_to",
    "Status": "status",
    "ErrorComment": "error_comment",
}
AFFECTED = {"AffectedSOPClassUID": "sop_class_uid", "AffectedSOPInstanceUID": "sop_instance_uid"}
REQUESTED = {"RequestedSOPClassUID": "sop_class_uid", "RequestedSOPInstanceUID": "sop_instance_uid"}
STORE = {
    "Priority": "priority",
    "MoveOriginatorApplicationEntityTitle": "move_originator_ae_title",
    "MoveOriginatorMessageID": "move_originator_message_id",
}
ACTION = {"ActionTypeID": "type_id"}
EVENT = {"EventTypeID": "type_id"}


class Kind(NamedTuple):
    """A kind of message; `fields` has ours by the keywords of elements, and of `primitive`."""

    messages: st.SearchStrategy[Any]
    primitive: type
    command_field: int
    fields: dict[str, str]
    data_set: str  # the primitive's


KINDS = {
    "C_STORE_RQ": Kind(
        strategies.store_requests, C_STORE, 0x0001, REQUEST | AFFECTED | STORE, "DataSet"
    ),
    "C_STORE_RSP": Kind(
        strategies.store_responses, C_STORE, 0x8001, RESPONSE | AFFECTED, "DataSet"
    ),
    "N_ACTION_RQ": Kind(
        strategies.action_requests,
        N_ACTION,
        0x0130,
        REQUEST | REQUESTED | ACTION,
        "ActionInformation",
    ),
    "N_ACTION_RSP": Kind(
        strategies.action_responses, N_ACTION, 0x8130, RESPONSE | AFFECTED | ACTION, "ActionReply"
    ),
    "N_EVENT_REPORT_RQ": Kind(
        strategies.event_report_requests,
        N_EVENT_REPORT,
        0x0100,
        REQUEST | AFFECTED | EVENT,
        "EventInformation",
    ),
    "N_EVENT_REPORT_RSP": Kind(
        strategies.event_report_responses,
        N_EVENT_REPORT,
        0x8100,
        RESPONSE | AFFECTED | EVENT,
        "EventReply",
    ),
}


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_a_command_set_is_that_of_pynetdicom(name, data):
    kind = KINDS[name]
    message = data.draw(kind.messages)
    command = dataset(message)
    primitive = kind.primitive()
    assert command.CommandField == kind.command_field
    for keyword, field in kind.fields.items():
        value = getattr(message, field)
        value = None if value == "" else value
        assert command.get(keyword) == value
        setattr(primitive, keyword, value)
    setattr(primitive, kind.data_set, BytesIO(b"\0\0") if message.has_data_set else None)
    assert decode_command(command_of(name, primitive)) == message


def command_of(name, primitive):
    """The command set that pynetdicom makes of its primitive."""
    message = getattr(dimse_messages, name)()
    message.primitive_to_message(primitive)
    pdvs = [pdv for data in message.encode_msg(1, 0) for pdv in data.presentation_data_value_list]
    return b"".join(data[1:] for _, data in pdvs if data[0] & 1)
