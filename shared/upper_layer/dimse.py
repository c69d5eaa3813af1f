"""The DIMSE messages that Penstock speaks, and what it says to all others (PS3.7 9 and 10).

A text that breaks its rules (a UID with letters, say) decodes all the same: what to answer is
for the caller to judge.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from shared.upper_layer.c_services import (
    CancelRequest,
    EchoRequest,
    EchoResponse,
    StoreRequest,
    StoreResponse,
)
from shared.upper_layer.command_set import (
    CommandField,
    CommandSet,
    Element,
    Values,
    data_set_type,
    encode,
)
from shared.upper_layer.n_services import (
    ActionRequest,
    ActionResponse,
    EventReportRequest,
    EventReportResponse,
)

_RESPONSE = 0x8000  # the bit by which a response's command field differs from its request's


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
