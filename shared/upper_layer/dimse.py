"""The DIMSE messages that Penstock speaks (PS3.7 9.3), as records, and their command sets.

A text that breaks its rules (a UID with letters, say) decodes all the same: what to answer is
for the caller to judge.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from shared.upper_layer.command_set import (
    NO_DATA_SET,
    CommandField,
    CommandSet,
    Element,
    Values,
    data_set_type,
    encode,
    encode_error_comment,
)
from shared.upper_layer.errors import ProtocolError
from shared.upper_layer.n_services import (
    ActionRequest,
    ActionResponse,
    EventReportRequest,
    EventReportResponse,
)

_RESPONSE = 0x8000  # the bit by which a response's command field differs from its request's

_VERIFICATION = "1.2.840.10008.1.1"


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """C-STORE-RQ (PS3.7 9.3.1.1)."""

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    priority: int = 0  # medium
    move_originator_ae_title: str | None = None
    move_originator_message_id: int | None = None

    @property
    def has_data_set(self) -> bool:
        return True

    def values(self) -> Values:
        return {
            Element.AFFECTED_SOP_CLASS_UID: self.sop_class_uid,
            Element.COMMAND_FIELD: CommandField.C_STORE_RQ,
            Element.MESSAGE_ID: self.message_id,
            Element.PRIORITY: self.priority,
            Element.COMMAND_DATA_SET_TYPE: data_set_type(True),
            Element.AFFECTED_SOP_INSTANCE_UID: self.sop_instance_uid,
            Element.MOVE_ORIGINATOR_AE_TITLE: self.move_originator_ae_title,
            Element.MOVE_ORIGINATOR_MESSAGE_ID: self.move_originator_message_id,
        }

    @classmethod
    def from_command_set(cls, command: CommandSet) -> Self:
        if not command.has_data_set:
            raise ProtocolError("a C-STORE-RQ that says that no data set follows")
        return cls(
            command.required_number(Element.MESSAGE_ID),
            command.text(Element.AFFECTED_SOP_CLASS_UID),
            command.text(Element.AFFECTED_SOP_INSTANCE_UID),
            command.number(Element.PRIORITY) or 0,
            command.text(Element.MOVE_ORIGINATOR_AE_TITLE).strip(" ") or None,
            command.number(Element.MOVE_ORIGINATOR_MESSAGE_ID),
        )


@dataclass(frozen=True, slots=True)
class StoreResponse:
    """C-STORE-RSP (PS3.7 9.3.1.2); a status of None was absent or empty, so the outcome is unknown.

    It has no data set by definition: what its Command Data Set Type says is not looked at.
    """

    message_id_responded_to: int
    sop_class_uid: str
    sop_instance_uid: str
    status: int | None
    error_comment: str = ""

    @property
    def has_data_set(self) -> bool:
        return False

    def values(self) -> Values:
        return {
            # Both UIDs are optional in a response.
            Element.AFFECTED_SOP_CLASS_UID: self.sop_class_uid or None,
            Element.COMMAND_FIELD: CommandField.C_STORE_RSP,
            Element.MESSAGE_ID_BEING_RESPONDED_TO: self.message_id_responded_to,
            Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET,
            Element.STATUS: self.status,
            Element.ERROR_COMMENT: encode_error_comment(self.error_comment),
            Element.AFFECTED_SOP_INSTANCE_UID: self.sop_instance_uid or None,
        }

    @classmethod
    def from_command_set(cls, command: CommandSet) -> Self:
        return cls(
            command.required_number(Element.MESSAGE_ID_BEING_RESPONDED_TO),
            command.text(Element.AFFECTED_SOP_CLASS_UID),
            command.text(Element.AFFECTED_SOP_INSTANCE_UID),
            command.number(Element.STATUS),
            command.text(Element.ERROR_COMMENT),
        )


@dataclass(frozen=True, slots=True)
class EchoRequest:
    """C-ECHO-RQ (PS3.7 9.3.5.1)."""

    message_id: int

    @property
    def has_data_set(self) -> bool:
        return False

    def values(self) -> Values:
        return {
            Element.AFFECTED_SOP_CLASS_UID: _VERIFICATION,
            Element.COMMAND_FIELD: CommandField.C_ECHO_RQ,
            Element.MESSAGE_ID: self.message_id,
            Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET,
        }

    @classmethod
    def from_command_set(cls, command: CommandSet) -> Self:
        return cls(command.required_number(Element.MESSAGE_ID))


@dataclass(frozen=True, slots=True)
class EchoResponse:
    """C-ECHO-RSP (PS3.7 9.3.5.2)."""

    message_id_responded_to: int
    status: int | None

    @property
    def has_data_set(self) -> bool:
        return False

    def values(self) -> Values:
        return {
            Element.AFFECTED_SOP_CLASS_UID: _VERIFICATION,
            Element.COMMAND_FIELD: CommandField.C_ECHO_RSP,
            Element.MESSAGE_ID_BEING_RESPONDED_TO: self.message_id_responded_to,
            Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET,
            Element.STATUS: self.status,
        }

    @classmethod
    def from_command_set(cls, command: CommandSet) -> Self:
        return cls(
            command.required_number(Element.MESSAGE_ID_BEING_RESPONDED_TO),
            command.number(Element.STATUS),
        )


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """C-CANCEL-RQ (PS3.7 9.3.2.3); it has no response, and there is nothing here to cancel."""

    message_id_responded_to: int

    @property
    def has_data_set(self) -> bool:
        return False

    def values(self) -> Values:
        return {
            Element.COMMAND_FIELD: CommandField.C_CANCEL_RQ,
            Element.MESSAGE_ID_BEING_RESPONDED_TO: self.message_id_responded_to,
            Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET,
        }

    @classmethod
    def from_command_set(cls, command: CommandSet) -> Self:
        return cls(command.required_number(Element.MESSAGE_ID_BEING_RESPONDED_TO))


@dataclass(frozen=True, slots=True)
class UnsupportedRequest:
    """A request of any other DIMSE service, to be answered 0211H once its data set is over."""

    command_field: int
    message_id: int
    has_data_set: bool

    def values(self) -> Values:
        return {
            Element.COMMAND_FIELD: self.command_field,
            Element.MESSAGE_ID: self.message_id,
            Element.COMMAND_DATA_SET_TYPE: data_set_type(self.has_data_set),
        }

    @classmethod
    def from_command_set(cls, command: CommandSet) -> Self:
        return cls(
            command.required_number(Element.COMMAND_FIELD),
            command.required_number(Element.MESSAGE_ID),
            command.has_data_set,
        )


@dataclass(frozen=True, slots=True)
class UnsupportedResponse:
    """A response of any other DIMSE service: 0211H as we send it, whatever it is as received.

    `command_field` is that of the request it answers.
    """

    message_id_responded_to: int
    command_field: int
    status: int | None
    has_data_set: bool = False

    def values(self) -> Values:
        return {
            Element.COMMAND_FIELD: self.command_field | _RESPONSE,
            Element.MESSAGE_ID_BEING_RESPONDED_TO: self.message_id_responded_to,
            Element.COMMAND_DATA_SET_TYPE: data_set_type(self.has_data_set),
            Element.STATUS: self.status,
        }

    @classmethod
    def from_command_set(cls, command: CommandSet) -> Self:
        return cls(
            command.required_number(Element.MESSAGE_ID_BEING_RESPONDED_TO),
            command.required_number(Element.COMMAND_FIELD) & ~_RESPONSE,
            command.number(Element.STATUS),
            command.has_data_set,
        )


Request = (
    StoreRequest
    | EchoRequest
    | CancelRequest
    | ActionRequest
    | EventReportRequest
    | UnsupportedRequest
)
Response = StoreResponse | EchoResponse | ActionResponse | EventReportResponse | UnsupportedResponse
Message = Request | Response

_DECODERS: Final[Mapping[int, Callable[[CommandSet], Message]]] = {
    CommandField.C_STORE_RQ: StoreRequest.from_command_set,
    CommandField.C_STORE_RSP: StoreResponse.from_command_set,
    CommandField.C_ECHO_RQ: EchoRequest.from_command_set,
    CommandField.C_ECHO_RSP: EchoResponse.from_command_set,
    CommandField.C_CANCEL_RQ: CancelRequest.from_command_set,
    CommandField.N_ACTION_RQ: ActionRequest.from_command_set,
    CommandField.N_ACTION_RSP: ActionResponse.from_command_set,
    CommandField.N_EVENT_REPORT_RQ: EventReportRequest.from_command_set,
    CommandField.N_EVENT_REPORT_RSP: EventReportResponse.from_command_set,
}


def encode_command(message: Message) -> bytes:
    return encode(message.values())


def decode_command(data: bytes) -> Message:
    command = CommandSet.decode(data)
    field = command.required_number(Element.COMMAND_FIELD)
    if decode := _DECODERS.get(field):
        return decode(command)
    if field & _RESPONSE:
        return UnsupportedResponse.from_command_set(command)
    return UnsupportedRequest.from_command_set(command)
