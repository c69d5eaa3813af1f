"""The protocol data units that control an association (PS3.8 9.3), as records.

`encode` gives a whole PDU, `decode` takes what follows its six-byte header. P-DATA-TF is no record:
it is streamed, by the reader and the writer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Final, Self

from shared.upper_layer.associate import AssociateAccept, AssociateRequest
from shared.upper_layer.errors import AbortReason, AbortSource
from shared.upper_layer.items import fields_end
from shared.upper_layer.pdu_header import PduType, encode_pdu

_VERDICT_FIELDS = Struct(">xBBB")


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

    result: int
    source: int
    reason: int

    pdu_type: ClassVar = PduType.ASSOCIATE_RJ

    def encode(self) -> bytes:
        return encode_pdu(
            self.pdu_type, _VERDICT_FIELDS.pack(self.result, self.source, self.reason)
        )

    @classmethod
    def decode(cls, body: bytes) -> Self:
        fields_end(_VERDICT_FIELDS, 0, len(body))
        return cls(*_VERDICT_FIELDS.unpack_from(body))

    def describe(self) -> str:
        """The rejection in the words of PS3.8 table 9-21."""
        result = _REJECT_RESULTS.get(self.result, f"rejected (result {self.result})")
        source = _REJECT_SOURCES.get(self.source, f"source {self.source}")
        reason = _REJECT_REASONS.get((self.source, self.reason), f"reason {self.reason}")
        return f"{result} by the {source}: {reason}"


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ (PS3.8 9.3.6)."""

    pdu_type: ClassVar = PduType.RELEASE_RQ

    def encode(self) -> bytes:
        return encode_pdu(self.pdu_type, bytes(4))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        return cls()  # four reserved bytes, not to be tested


@dataclass(frozen=True, slots=True)
class ReleaseResponse:
    """A-RELEASE-RP (PS3.8 9.3.7)."""

    pdu_type: ClassVar = PduType.RELEASE_RP

    def encode(self) -> bytes:
        return encode_pdu(self.pdu_type, bytes(4))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        return cls()  # four reserved bytes, not to be tested


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT (PS3.8 9.3.8)."""

    source: int
    reason: int

    pdu_type: ClassVar = PduType.ABORT

    def encode(self) -> bytes:
        return encode_pdu(self.pdu_type, _VERDICT_FIELDS.pack(0, self.source, self.reason))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        fields_end(_VERDICT_FIELDS, 0, len(body))
        _, source, reason = _VERDICT_FIELDS.unpack_from(body)
        return cls(source, reason)

    def describe(self) -> str:
        """The abort in the words of PS3.8 table 9-26."""
        if self.source == AbortSource.SERVICE_USER:
            return "aborted by the service user"  # its reason field means nothing
        known = self.reason in AbortReason._value2member_map_
        reason = AbortReason(self.reason).name.lower() if known else f"reason {self.reason}"
        return f"aborted by the service provider: {reason.replace('_', ' ')}"


ControlPdu = (
    AssociateRequest | AssociateAccept | AssociateReject | ReleaseRequest | ReleaseResponse | Abort
)

DECODERS: Final[Mapping[PduType, type[ControlPdu]]] = {
    PduType.ASSOCIATE_RQ: AssociateRequest,
    PduType.ASSOCIATE_AC: AssociateAccept,
    PduType.ASSOCIATE_RJ: AssociateReject,
    PduType.RELEASE_RQ: ReleaseRequest,
    PduType.RELEASE_RP: ReleaseResponse,
    PduType.ABORT: Abort,
}

# PS3.8 table 9-21.
_REJECT_RESULTS = {1: "rejected permanently", 2: "rejected transiently"}
_REJECT_SOURCES = {
    1: "service user",
    2: "service provider (ACSE)",
    3: "service provider (presentation)",
}
_REJECT_REASONS = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}
