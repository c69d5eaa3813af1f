"""The protocol data units that control an association (PS3.8 9.3), as records.

`encode` gives a whole PDU, `decode` takes what follows its six-byte header. P-DATA-TF is no record:
it is streamed, by the reader and the writer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct
from typing import ClassVar, Final, Self, TypeVar

from shared.upper_layer.errors import AbortReason as AbortReason
from shared.upper_layer.errors import AbortSource as AbortSource
from shared.upper_layer.items import (
    Item,
    Texts,
    decode_ae_title,
    decode_text,
    encode_ae_title,
    encode_item,
    encode_text,
    fields_end,
    items,
)
from shared.upper_layer.presentation_context import AnsweredContext as AnsweredContext
from shared.upper_layer.presentation_context import ContextResult as ContextResult
from shared.upper_layer.presentation_context import ProposedContext as ProposedContext
from shared.upper_layer.user_information import UserInformation

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"  # PS3.7 annex A.2.1

_PDU_HEADER = Struct(">BxL")
_ASSOCIATE_FIELDS = Struct(">H2x16s16s32x")
_VERDICT_FIELDS = Struct(">xBBB")


class PduType(IntEnum):
    """PS3.8 9.3.1."""

    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2)."""

    called_ae_title: str
    calling_ae_title: str
    presentation_contexts: tuple[ProposedContext, ...]
    user_information: UserInformation
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1
    # Bytes 11 to 74 as they came, for the A-ASSOCIATE-AC to send back (PS3.8 9.3.3).
    echo: bytes = field(default=b"", repr=False, compare=False)

    pdu_type: ClassVar = PduType.ASSOCIATE_RQ

    def encode(self) -> bytes:
        return _encode_associate(self)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        fields = _decode_associate(body, Item.PROPOSED_CONTEXT, ProposedContext.decode)
        return cls(*fields, echo=body[4:68])


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """A-ASSOCIATE-AC (PS3.8 9.3.3); its AE titles are echoes, not to be tested on receipt."""

    called_ae_title: str
    calling_ae_title: str
    presentation_contexts: tuple[AnsweredContext, ...]
    user_information: UserInformation
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1

    pdu_type: ClassVar = PduType.ASSOCIATE_AC

    def encode(self) -> bytes:
        return _encode_associate(self)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        return cls(*_decode_associate(body, Item.ANSWERED_CONTEXT, AnsweredContext.decode))


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

    result: int
    source: int
    reason: int

    pdu_type: ClassVar = PduType.ASSOCIATE_RJ

    def encode(self) -> bytes:
        return _encode_pdu(
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
        return _encode_pdu(self.pdu_type, bytes(4))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        return cls()  # four reserved bytes, not to be tested


@dataclass(frozen=True, slots=True)
class ReleaseResponse:
    """A-RELEASE-RP (PS3.8 9.3.7)."""

    pdu_type: ClassVar = PduType.RELEASE_RP

    def encode(self) -> bytes:
        return _encode_pdu(self.pdu_type, bytes(4))

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
        return _encode_pdu(self.pdu_type, _VERDICT_FIELDS.pack(0, self.source, self.reason))

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

_Context = TypeVar("_Context")


def _encode_pdu(pdu_type: PduType, body: bytes) -> bytes:
    return _PDU_HEADER.pack(pdu_type, len(body)) + body


def _encode_associate(pdu: AssociateRequest | AssociateAccept) -> bytes:
    fields = _ASSOCIATE_FIELDS.pack(
        pdu.protocol_version,
        encode_ae_title(pdu.called_ae_title),
        encode_ae_title(pdu.calling_ae_title),
    )
    application_context = encode_item(
        Item.APPLICATION_CONTEXT, encode_text(pdu.application_context)
    )
    contexts = b"".join(context.encode() for context in pdu.presentation_contexts)
    user_information = encode_item(Item.USER_INFORMATION, pdu.user_information.encode())
    return _encode_pdu(pdu.pdu_type, fields + application_context + contexts + user_information)


def _decode_associate(
    body: bytes, context_item: Item, decode_context: Callable[[bytes, int, int, Texts], _Context]
) -> tuple[str, str, tuple[_Context, ...], UserInformation, str, int]:
    """The fields that A-ASSOCIATE-RQ and -AC share, in the order of their records."""
    first_item = fields_end(_ASSOCIATE_FIELDS, 0, len(body))
    protocol_version, called, calling = _ASSOCIATE_FIELDS.unpack_from(body)
    texts = Texts()
    contexts: list[_Context] = []
    application_context = ""
    user_information = UserInformation()
    for item_type, start, end in items(body, first_item, len(body)):
        if item_type == context_item:
            contexts.append(decode_context(body, start, end, texts))
        elif item_type == Item.APPLICATION_CONTEXT:
            application_context = decode_text(body[start:end])
        elif item_type == Item.USER_INFORMATION:
            user_information = UserInformation.decode(body[start:end])
    return (
        decode_ae_title(called),
        decode_ae_title(calling),
        tuple(contexts),
        user_information,
        application_context,
        protocol_version,
    )
