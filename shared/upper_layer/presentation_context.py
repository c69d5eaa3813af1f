"""Presentation contexts as proposed and as answered (PS3.8 9.3.2.2, 9.3.3.2)."""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Self

from shared.upper_layer.items import Item, Texts, encode_item, encode_text, fields_end, items

_PROPOSED_FIELDS = Struct(">B3x")
_ANSWERED_FIELDS = Struct(">BxBx")


class ContextResult(IntEnum):
    """The answer to one presentation context (PS3.8 table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context of an A-ASSOCIATE-RQ (PS3.8 9.3.2.2)."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]

    def encode(self) -> bytes:
        abstract_syntax = encode_item(Item.ABSTRACT_SYNTAX, encode_text(self.abstract_syntax))
        transfer_syntaxes = (
            encode_item(Item.TRANSFER_SYNTAX, encode_text(uid)) for uid in self.transfer_syntaxes
        )
        content = _PROPOSED_FIELDS.pack(self.id) + abstract_syntax + b"".join(transfer_syntaxes)
        return encode_item(Item.PROPOSED_CONTEXT, content)

    @classmethod
    def decode(cls, body: bytes, start: int, end: int, texts: Texts) -> Self:
        first_sub_item = fields_end(_PROPOSED_FIELDS, start, end)
        abstract_syntax = ""
        transfer_syntaxes = []
        for item_type, uid_start, uid_end in items(body, first_sub_item, end):
            if item_type == Item.TRANSFER_SYNTAX:
                transfer_syntaxes.append(texts[body[uid_start:uid_end]])
            elif item_type == Item.ABSTRACT_SYNTAX:
                abstract_syntax = texts[body[uid_start:uid_end]]
        return cls(body[start], abstract_syntax, tuple(transfer_syntaxes))


@dataclass(frozen=True, slots=True)
class AnsweredContext:
    """A presentation context of an A-ASSOCIATE-AC (PS3.8 9.3.3.2)."""

    id: int
    result: ContextResult
    transfer_syntax: str  # says nothing unless the result is acceptance

    def encode(self) -> bytes:
        transfer_syntax = encode_item(Item.TRANSFER_SYNTAX, encode_text(self.transfer_syntax))
        content = _ANSWERED_FIELDS.pack(self.id, self.result) + transfer_syntax
        return encode_item(Item.ANSWERED_CONTEXT, content)

    @classmethod
    def decode(cls, body: bytes, start: int, end: int, texts: Texts) -> Self:
        first_sub_item = fields_end(_ANSWERED_FIELDS, start, end)
        context_id, result = _ANSWERED_FIELDS.unpack_from(body, start)
        transfer_syntax = ""
        for item_type, uid_start, uid_end in items(body, first_sub_item, end):
            if item_type == Item.TRANSFER_SYNTAX:
                transfer_syntax = texts[body[uid_start:uid_end]]
        # A result that the standard does not know is some refusal.
        known = result in ContextResult._value2member_map_
        return cls(
            context_id, ContextResult(result) if known else ContextResult.NO_REASON, transfer_syntax
        )
