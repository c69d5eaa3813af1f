"""Messages out of presentation data values (PS3.8 annex E, PS3.7 annex F)."""

from collections.abc import Container
from typing import Final

from shared.upper_layer.dimse import decode_command
from shared.upper_layer.errors import AbortReason, ProtocolError
from shared.upper_layer.events import DataEnded, DataFragment, MessageReceived
from shared.upper_layer.reader import PdvPart

MAX_COMMAND_SET: Final = 64 << 10


class MessageReader:
    """Puts messages together: a command, then the data set that it announces, one after another."""

    def __init__(self, accepted: Container[int]) -> None:
        self._accepted = accepted
        self._command = bytearray()
        self._context_id: int | None = None  # of the message under way
        self._awaits_data = False

    @property
    def mid_message(self) -> bool:
        return self._context_id is not None

    def take(self, part: PdvPart) -> tuple[MessageReceived | DataFragment | DataEnded, ...]:
        context_id, is_command, payload, ends_stream = part
        if context_id != self._context_id:
            self._begin(context_id)
        if is_command is self._awaits_data:
            raise ProtocolError(
                "a command where a data set should be, or the reverse",
                AbortReason.UNEXPECTED_PDU_PARAMETER,
            )
        if is_command:
            self._gather(payload)
            return (self._message(context_id),) if ends_stream else ()
        fragment = (DataFragment(payload),) if payload else ()
        if not ends_stream:
            return fragment
        self._context_id, self._awaits_data = None, False
        return (*fragment, DataEnded(context_id))

    def _begin(self, context_id: int) -> None:
        if context_id not in self._accepted:
            raise ProtocolError(f"presentation context {context_id}, which was not accepted")
        # PS3.8 E.1: one message after another, each in one presentation context.
        if self._context_id is not None:
            raise ProtocolError(
                f"presentation context {context_id} within a message in {self._context_id}",
                AbortReason.UNEXPECTED_PDU_PARAMETER,
            )
        self._context_id = context_id

    def _gather(self, payload: memoryview) -> None:
        size = len(self._command) + len(payload)
        if size > MAX_COMMAND_SET:
            raise ProtocolError(f"a command set of {size} bytes or more")
        self._command += payload

    def _message(self, context_id: int) -> MessageReceived:
        message = decode_command(bytes(self._command))
        self._command.clear()
        self._awaits_data = message.has_data_set
        if not message.has_data_set:
            self._context_id = None
        return MessageReceived(context_id, message)
