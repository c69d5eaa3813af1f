"""P-DATA-TF PDUs out of commands and data sets (PS3.8 9.3.5, annex E)."""

from struct import Struct
from typing import Final

from shared.upper_layer.errors import ProtocolError
from shared.upper_layer.pdu_header import PduType

MAX_PDU_LENGTH: Final = 131072  # the longest that we send, whatever the peer would take

_HEADERS = Struct(">BxLLBB")  # of the PDU, and of the one PDV in it
_PDV_HEADER_LENGTH = 6
_CONTROL_HEADER_LENGTH = 2
_COMMAND = 0b01
_LAST = 0b10


def fragment_length(peer_max_pdu_length: int) -> int:
    """How much of a message goes into one PDU for this peer; 0 is a peer without a limit."""
    longest = min(peer_max_pdu_length or MAX_PDU_LENGTH, MAX_PDU_LENGTH) - _PDV_HEADER_LENGTH
    if longest < 2:
        raise ProtocolError(
            f"a maximum PDU length of {peer_max_pdu_length} leaves no room for a fragment"
        )
    return longest - longest % 2  # PS3.8 E.1: every fragment is of an even number of bytes


def command_pdus(context_id: int, command: bytes, fragment: int) -> bytes:
    """A command set, in as many PDUs as it needs."""
    return b"".join(_pdus(context_id, memoryview(command), fragment, _COMMAND, last=True))


def data_pdus(
    context_id: int, data: memoryview, fragment: int, *, last: bool
) -> list[bytes | memoryview]:
    """A piece of a data set, as headers and slices of `data` by turns: nothing is copied."""
    return _pdus(context_id, data, fragment, 0, last=last)


def _pdus(
    context_id: int, content: memoryview, fragment: int, kind: int, *, last: bool
) -> list[bytes | memoryview]:
    buffers: list[bytes | memoryview] = []
    size = len(content)
    # The end of a stream needs a fragment to carry the flag, if an empty one.
    for start in range(0, size or int(last), fragment):
        payload = content[start : start + fragment]
        flags = kind | _LAST if last and start + fragment >= size else kind
        length = _CONTROL_HEADER_LENGTH + len(payload)
        buffers.append(_HEADERS.pack(PduType.P_DATA_TF, length + 4, length, context_id, flags))
        buffers.append(payload)
    return buffers
