"""PDUs out of a stream of bytes, split in any way.

Control PDUs are gathered, within a bound. P-DATA-TF is never gathered: whatever there is of a
presentation data value goes on at once, as a slice of the bytes received.
"""

from collections.abc import Callable, Iterator
from enum import Enum, auto
from struct import Struct
from typing import Final, NamedTuple

from shared.upper_layer.errors import AbortReason, ProtocolError
from shared.upper_layer.pdu import DECODERS, ControlPdu
from shared.upper_layer.pdu_header import PDU_HEADER, PduType

MAX_CONTROL_PDU: Final = 1 << 20

_PDV_HEADER = Struct(">LBB")  # item length, presentation context id, message control header
_DATA_HEADERS = Struct(">BxLLBB")  # of a P-DATA-TF and of its first presentation data value
_PDU_TYPES: Final = {int(each): each for each in PduType}
_ITEM_LENGTH = 4  # what the item length does not count: itself
_CONTROL_HEADER = 2  # what it counts before the fragment: context id and message control header
_COMMAND = 0b01
_LAST = 0b10  # PS3.8 annex E.2; bits 2 to 7 are not tested on receipt


class PdvPart(NamedTuple):
    """As much of one presentation data value as is there (a tuple: it is made for every slice)."""

    context_id: int
    is_command: bool
    payload: memoryview
    ends_stream: bool  # the last fragment of its command or data set ends here


class _Next(Enum):
    """What the next byte belongs to."""

    PDU_HEADER = auto()
    CONTROL_BODY = auto()
    PDV_HEADER = auto()
    FRAGMENT = auto()


class PduReader:
    """Reads a peer's PDUs. `expect` is asked as soon as a PDU's type is known, and may refuse it.

    A P-DATA-TF PDU may be `max_pdu_length` long, as we announced; 0 sets no limit.
    """

    def __init__(self, max_pdu_length: int, expect: Callable[[PduType], object]) -> None:
        self._max_pdu_length = max_pdu_length
        self._expect = expect
        self.pdus_begun = 0
        self._next = _Next.PDU_HEADER
        self._gathered = bytearray()
        self._pdu_type = PduType.P_DATA_TF
        self._pdu_left = 0  # bytes of the PDU that are not read yet
        self._fragment_left = 0
        self._context_id = 0
        self._control = 0

    @property
    def mid_pdu(self) -> bool:
        return self._next is not _Next.PDU_HEADER or bool(self._gathered)

    def read(self, data: bytes | bytearray | memoryview) -> Iterator[ControlPdu | PdvPart]:
        """What `data` brings to an end, or of P-DATA-TF forward. To be iterated to its end."""
        view = memoryview(data)
        while view or self._next is _Next.CONTROL_BODY:
            if self._next is _Next.FRAGMENT:
                payload = view[: self._fragment_left]
                view = view[len(payload) :]
                yield self._part(payload)
            elif self._next is _Next.PDU_HEADER:
                if self._has_data_headers(view):
                    self._take_data_headers(view)
                    view = view[_DATA_HEADERS.size :]
                    if not self._fragment_left:  # an empty fragment is one, too
                        yield self._part(view[:0])
                    continue
                if not self._gathered:
                    self.pdus_begun += 1
                view = self._gather(view, PDU_HEADER.size)
                self._check_type(self._gathered[0])
                if len(self._gathered) == PDU_HEADER.size:
                    _, length = PDU_HEADER.unpack(self._gathered)
                    self._begin_pdu(length)
            elif self._next is _Next.PDV_HEADER:
                view = self._gather(view, _PDV_HEADER.size)
                if len(self._gathered) == _PDV_HEADER.size:
                    self._begin_pdv(*_PDV_HEADER.unpack(self._gathered))
                    if not self._fragment_left:
                        yield self._part(view[:0])
            else:
                view = self._gather(view, self._pdu_left)
                if len(self._gathered) < self._pdu_left:
                    return
                yield self._control_pdu()

    def _has_data_headers(self, view: memoryview) -> bool:
        """The usual case: both headers of a P-DATA-TF in one piece."""
        return (
            len(view) >= _DATA_HEADERS.size and view[0] == PduType.P_DATA_TF and not self._gathered
        )

    def _take_data_headers(self, view: memoryview) -> None:
        pdu_type, length, pdv_length, context_id, control = _DATA_HEADERS.unpack_from(view)
        self.pdus_begun += 1
        self._check_type(pdu_type)
        self._begin_pdu(length)
        self._begin_pdv(pdv_length, context_id, control)

    def _gather(self, view: memoryview, size: int) -> memoryview:
        """Take what is missing of `size` bytes; the rest of `view`."""
        missing = size - len(self._gathered)
        self._gathered += view[:missing]
        return view[missing:]

    def _check_type(self, value: int) -> None:
        pdu_type = _PDU_TYPES.get(value)
        if pdu_type is None:
            raise ProtocolError(f"PDU type {value:02X}H", AbortReason.UNRECOGNIZED_PDU)
        self._pdu_type = pdu_type
        self._expect(pdu_type)

    def _begin_pdu(self, length: int) -> None:
        if self._pdu_type is PduType.P_DATA_TF:
            if self._max_pdu_length and length > self._max_pdu_length:
                raise ProtocolError(f"a P-DATA-TF of {length} bytes, over {self._max_pdu_length}")
            if length < _PDV_HEADER.size:
                raise ProtocolError(f"a P-DATA-TF of {length} bytes, too short for a PDV")
            self._next = _Next.PDV_HEADER
        else:
            if length > MAX_CONTROL_PDU:
                raise ProtocolError(f"PDU type {self._pdu_type:02X}H of {length} bytes")
            self._next = _Next.CONTROL_BODY
        self._gathered.clear()
        self._pdu_left = length

    def _begin_pdv(self, length: int, context_id: int, control: int) -> None:
        left = self._pdu_left - _ITEM_LENGTH - length
        # After this PDV the PDU ends, or there is room for another.
        if length < _CONTROL_HEADER or (left and left < _PDV_HEADER.size):
            raise ProtocolError(f"a PDV of {length} bytes, {self._pdu_left} bytes left in its PDU")
        self._gathered.clear()
        self._context_id, self._control = context_id, control
        self._pdu_left -= _PDV_HEADER.size
        self._fragment_left = length - _CONTROL_HEADER
        self._next = _Next.FRAGMENT

    def _part(self, payload: memoryview) -> PdvPart:
        self._fragment_left -= len(payload)
        self._pdu_left -= len(payload)
        ended = not self._fragment_left
        if ended:
            self._next = _Next.PDV_HEADER if self._pdu_left else _Next.PDU_HEADER
        control = self._control
        return PdvPart(
            self._context_id, control & _COMMAND != 0, payload, ended and control & _LAST != 0
        )

    def _control_pdu(self) -> ControlPdu:
        body = bytes(self._gathered)
        self._gathered.clear()
        self._next = _Next.PDU_HEADER
        return DECODERS[self._pdu_type].decode(body)
