"""A-ASSOCIATE-RQ and -AC (PS3.8 9.3.2, 9.3.3), as records: what is proposed, and what is accepted.

`encode` gives a whole PDU, `decode` takes what follows its six-byte header.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct
from typing import ClassVar, Final, Self, TypeVar

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
from shared.upper_layer.pdu_header import PduType, encode_pdu
from shared.upper_layer.presentation_context import AnsweredContext, ProposedContext
from shared.upper_layer.user_information import UserInformation

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"  # PS3.7 annex A.2.1

_FIELDS = Struct(">H2x16s16s32x")

_Context = TypeVar("_Context")


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
        return _encode(self)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        fields = _decode(body, Item.PROPOSED_CONTEXT, ProposedContext.decode)
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
        return _encode(self)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        return cls(*_decode(body, Item.ANSWERED_CONTEXT, AnsweredContext.decode))


def _encode(pdu: AssociateRequest | AssociateAccept) -> bytes:
    fields = _FIELDS.pack(
        pdu.protocol_version,
        encode_ae_title(pdu.called_ae_title),
        encode_ae_title(pdu.calling_ae_title),
    )
    application_context = encode_item(
        Item.APPLICATION_CONTEXT, encode_text(pdu.application_context)
    )
    contexts = b"".join(context.encode() for context in pdu.presentation_contexts)
    user_information = encode_item(Item.USER_INFORMATION, pdu.user_information.encode())
    return encode_pdu(pdu.pdu_type, fields + application_context + contexts + user_information)


def _decode(
    body: bytes, context_item: Item, decode_context: Callable[[bytes, int, int, Texts], _Context]
) -> tuple[str, str, tuple[_Context, ...], UserInformation, str, int]:
    """The fields that A-ASSOCIATE-RQ and -AC share, in the order of their records."""
    first_item = fields_end(_FIELDS, 0, len(body))
    protocol_version, called, calling = _FIELDS.unpack_from(body)
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
