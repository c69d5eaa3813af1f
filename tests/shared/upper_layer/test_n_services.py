"""The DIMSE-N command sets, with pynetdicom as the oracle."""

from io import BytesIO

from hypothesis import given
from pynetdicom.dimse_messages import (
    N_ACTION_RQ,
    N_ACTION_RSP,
    N_EVENT_REPORT_RQ,
    N_EVENT_REPORT_RSP,
)
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT

from shared.upper_layer.dimse import decode_command
from shared.upper_layer.n_services import EventReportRequest
from tests.shared.upper_layer.test_dimse import command_of, dataset, element

from . import strategies


def a_data_set(message):
    return BytesIO(b"\0\0") if message.has_data_set else None


@given(strategies.action_requests)
def test_an_action_request_is_that_of_pynetdicom(request):
    command = dataset(request)
    assert command.CommandField == 0x0130
    assert command.RequestedSOPClassUID == request.sop_class_uid
    assert command.RequestedSOPInstanceUID == request.sop_instance_uid
    assert command.ActionTypeID == request.type_id

    primitive = N_ACTION()
    primitive.MessageID = request.message_id
    primitive.RequestedSOPClassUID = request.sop_class_uid
    primitive.RequestedSOPInstanceUID = request.sop_instance_uid
    primitive.ActionTypeID = request.type_id
    primitive.ActionInformation = a_data_set(request)
    assert decode_command(command_of(N_ACTION_RQ, primitive)) == request


@given(strategies.action_responses)
def test_an_action_response_is_that_of_pynetdicom(response):
    command = dataset(response)
    assert command.CommandField == 0x8130
    assert command.Status == response.status

    primitive = N_ACTION()
    primitive.MessageIDBeingRespondedTo = response.message_id_responded_to
    primitive.AffectedSOPClassUID = response.sop_class_uid
    primitive.AffectedSOPInstanceUID = response.sop_instance_uid
    primitive.ActionTypeID = response.type_id
    primitive.Status = response.status
    primitive.ErrorComment = response.error_comment or None
    primitive.ActionReply = a_data_set(response)
    assert decode_command(command_of(N_ACTION_RSP, primitive)) == response


@given(strategies.event_report_requests)
def test_an_event_report_request_is_that_of_pynetdicom(request):
    command = dataset(request)
    assert command.CommandField == 0x0100
    assert command.AffectedSOPClassUID == request.sop_class_uid
    assert command.AffectedSOPInstanceUID == request.sop_instance_uid
    assert command.EventTypeID == request.type_id

    primitive = N_EVENT_REPORT()
    primitive.MessageID = request.message_id
    primitive.AffectedSOPClassUID = request.sop_class_uid
    primitive.AffectedSOPInstanceUID = request.sop_instance_uid
    primitive.EventTypeID = request.type_id
    primitive.EventInformation = a_data_set(request)
    assert decode_command(command_of(N_EVENT_REPORT_RQ, primitive)) == request


@given(strategies.event_report_responses)
def test_an_event_report_response_is_that_of_pynetdicom(response):
    command = dataset(response)
    assert command.CommandField == 0x8100
    assert command.Status == response.status

    primitive = N_EVENT_REPORT()
    primitive.MessageIDBeingRespondedTo = response.message_id_responded_to
    primitive.AffectedSOPClassUID = response.sop_class_uid
    primitive.AffectedSOPInstanceUID = response.sop_instance_uid
    primitive.EventTypeID = response.type_id
    primitive.Status = response.status
    primitive.ErrorComment = response.error_comment or None
    primitive.EventReply = a_data_set(response)
    assert decode_command(command_of(N_EVENT_REPORT_RSP, primitive)) == response


def test_a_report_without_its_type_decodes_for_the_caller_to_judge():
    command = element(0x0100, b"\0\1") + element(0x0110, b"\5\0") + element(0x0800, b"\1\1")
    assert decode_command(command) == EventReportRequest(5, "", "", None, has_data_set=False)
