"""The DIMSE-N messages of storage commitment (PS3.7 10.3), as records, and their command sets.

N-ACTION and N-EVENT-REPORT have the same fields, but for the elements that some of them are in.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from shared.upper_layer.command_set import (
    CommandField,
    CommandSet,
    Element,
    Values,
    data_set_type,
    encode_error_comment,
)


@dataclass(frozen=True, slots=True)
class _Request:
    """A type of None was absent or empty."""

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    type_id: int | None
    has_data_set: bool = True

    command_field: ClassVar[CommandField]
    _SOP_CLASS: ClassVar[Element]
    _SOP_INSTANCE: ClassVar[Element]
    _TYPE: ClassVar[Element]

    def values(self) -> Values:
        return {
            self._SOP_CLASS: self.sop_class_uid,
            Element.COMMAND_FIELD: self.command_field,
            Element.MESSAGE_ID: self.message_id,
            Element.COMMAND_DATA_SET_TYPE: data_set_type(self.has_data_set),
            self._SOP_INSTANCE: self.sop_instance_uid,
            self._TYPE: self.type_id,
        }

    @classmethod
    def from_command_set(cls, command: CommandSet) -> Self:
        return cls(
            command.required_number(Element.MESSAGE_ID),
            command.text(cls._SOP_CLASS),
            command.text(cls._SOP_INSTANCE),
            command.number(cls._TYPE),
            command.has_data_set,
        )


@dataclass(frozen=True, slots=True)
class _Response:
    """A status of None was absent or empty; of the rest a peer may leave out most."""

    message_id_responded_to: int
    sop_class_uid: str
    sop_instance_uid: str
    type_id: int | None
    status: int | None
    error_comment: str = ""
    has_data_set: bool = False

    _FIELD: ClassVar[CommandField]
    _TYPE: ClassVar[Element]

    def values(self) -> Values:
        return {
            Element.AFFECTED_SOP_CLASS_UID: self.sop_class_uid or None,
            Element.COMMAND_FIELD: self._FIELD,
            Element.MESSAGE_ID_BEING_RESPONDED_TO: self.message_id_responded_to,
            Element.COMMAND_DATA_SET_TYPE: data_set_type(self.has_data_set),
            Element.STATUS: self.status,
            Element.ERROR_COMMENT: encode_error_comment(self.error_comment),
            Element.AFFECTED_SOP_INSTANCE_UID: self.sop_instance_uid or None,
            self._TYPE: self.type_id,
        }

    @classmethod
    def from_command_set(cls, command: CommandSet) -> Self:
        return cls(
            command.required_number(Element.MESSAGE_ID_BEING_RESPONDED_TO),
            command.text(Element.AFFECTED_SOP_CLASS_UID),
            command.text(Element.AFFECTED_SOP_INSTANCE_UID),
            command.number(cls._TYPE),
            command.number(Element.STATUS),
            command.text(Element.ERROR_COMMENT),
            command.has_data_set,
        )


class ActionRequest(_Request):
    """N-ACTION-RQ (PS3.7 10.3.5.1)."""

    __slots__ = ()
    command_field = CommandField.N_ACTION_RQ
    _SOP_CLASS = Element.REQUESTED_SOP_CLASS_UID
    _SOP_INSTANCE = Element.REQUESTED_SOP_INSTANCE_UID
    _TYPE = Element.ACTION_TYPE_ID


class ActionResponse(_Response):
    """N-ACTION-RSP (PS3.7 10.3.5.2)."""

    __slots__ = ()
    _FIELD = CommandField.N_ACTION_RSP
    _TYPE = Element.ACTION_TYPE_ID


class EventReportRequest(_Request):
    """N-EVENT-REPORT-RQ (PS3.7 10.3.1.1)."""

    __slots__ = ()
    command_field = CommandField.N_EVENT_REPORT_RQ
    _SOP_CLASS = Element.AFFECTED_SOP_CLASS_UID
    _SOP_INSTANCE = Element.AFFECTED_SOP_INSTANCE_UID
    _TYPE = Element.EVENT_TYPE_ID


class EventReportResponse(_Response):
    """N-EVENT-REPORT-RSP (PS3.7 10.3.1.2)."""

    __slots__ = ()
    _FIELD = CommandField.N_EVENT_REPORT_RSP
    _TYPE = Element.EVENT_TYPE_ID
