"""The DIMSE-C messages that Penstock speaks (PS3.7 9.3), as records, and their command sets."""

from dataclasses import dataclass
from typing import ClassVar, Self

from shared.upper_layer.command_set import (
    NO_DATA_SET,
    CommandField,
    CommandSet,
    Element,
    Values,
    data_set_type,
    encode_error_comment,
)
from shared.upper_layer.errors import ProtocolError

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

    has_data_set: ClassVar[bool] = True

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

    has_data_set: ClassVar[bool] = False

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

    has_data_set: ClassVar[bool] = False

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

    has_data_set: ClassVar[bool] = False

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

    has_data_set: ClassVar[bool] = False

    def values(self) -> Values:
        return {
            Element.COMMAND_FIELD: CommandField.C_CANCEL_RQ,
            Element.MESSAGE_ID_BEING_RESPONDED_TO: self.message_id_responded_to,
            Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET,
        }

    @classmethod
    def from_command_set(cls, command: CommandSet) -> Self:
        return cls(command.required_number(Element.MESSAGE_ID_BEING_RESPONDED_TO))
