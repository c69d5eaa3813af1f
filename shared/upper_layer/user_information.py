"""The user information item (PS3.8 annex D, PS3.7 annex D.3.3)."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

from shared.upper_layer.items import (
    Fields,
    decode_text,
    encode_counted,
    encode_item,
    encode_text,
    items,
)


class SubItem(IntEnum):
    """Types of the sub-items; those not listed are ignored, as PS3.8 D.2 asks."""

    MAXIMUM_LENGTH = 0x51  # PS3.8 D.1
    IMPLEMENTATION_CLASS_UID = 0x52  # PS3.7 D.3.3.2
    ASYNCHRONOUS_OPERATIONS = 0x53  # PS3.7 D.3.3.3
    ROLE_SELECTION = 0x54  # PS3.7 D.3.3.4
    IMPLEMENTATION_VERSION_NAME = 0x55  # PS3.7 D.3.3.2
    EXTENDED_NEGOTIATION = 0x56  # PS3.7 D.3.3.5
    COMMON_EXTENDED_NEGOTIATION = 0x57  # PS3.7 D.3.3.6
    USER_IDENTITY = 0x58  # PS3.7 D.3.3.7
    USER_IDENTITY_RESPONSE = 0x59  # PS3.7 D.3.3.7


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """Roles of the requestor for one SOP class: proposed in a request, granted in an accept."""

    sop_class_uid: str
    scu: bool
    scp: bool

    def encode(self) -> bytes:
        return encode_counted(encode_text(self.sop_class_uid)) + bytes((self.scu, self.scp))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        fields = Fields(content)
        uid = decode_text(fields.counted())
        return cls(uid, scu=fields.number(1) == 1, scp=fields.number(1) == 1)


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """What a service class wants to settle for one SOP class, in that service class' own code."""

    sop_class_uid: str
    service_class_application_information: bytes

    def encode(self) -> bytes:
        uid = encode_counted(encode_text(self.sop_class_uid))
        return uid + self.service_class_application_information

    @classmethod
    def decode(cls, content: bytes) -> Self:
        fields = Fields(content)
        return cls(decode_text(fields.counted()), fields.rest())


@dataclass(frozen=True, slots=True)
class CommonExtendedNegotiation:
    """The service class of a SOP class, and the general SOP classes that it specializes."""

    sop_class_uid: str
    service_class_uid: str
    related_general_sop_class_uids: tuple[str, ...] = ()

    def encode(self) -> bytes:
        related = (encode_counted(encode_text(u)) for u in self.related_general_sop_class_uids)
        return (
            encode_counted(encode_text(self.sop_class_uid))
            + encode_counted(encode_text(self.service_class_uid))
            + encode_counted(b"".join(related))
        )

    @classmethod
    def decode(cls, content: bytes) -> Self:
        fields = Fields(content)
        sop_class, service_class, listed = (fields.counted() for _ in range(3))
        related = Fields(listed)
        uids = []
        while not related.finished:
            uids.append(decode_text(related.counted()))
        return cls(decode_text(sop_class), decode_text(service_class), tuple(uids))


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """Who asks for the association: user name, passcode, Kerberos ticket, SAML or JWT."""

    identity_type: int
    primary_field: bytes
    secondary_field: bytes = b""
    response_requested: bool = False

    def encode(self) -> bytes:
        return (
            bytes((self.identity_type, self.response_requested))
            + encode_counted(self.primary_field)
            + encode_counted(self.secondary_field)
        )

    @classmethod
    def decode(cls, content: bytes) -> Self:
        fields = Fields(content)
        identity_type, response_requested = fields.number(1), fields.number(1) == 1
        return cls(identity_type, fields.counted(), fields.counted(), response_requested)


@dataclass(frozen=True, slots=True)
class UserInformation:
    """The user information item; a maximum PDU length of 0 sets no limit (PS3.8 D.1)."""

    max_pdu_length: int = 0
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    asynchronous_operations: tuple[int, int] | None = None  # invoked, performed
    role_selections: tuple[RoleSelection, ...] = ()
    extended_negotiations: tuple[ExtendedNegotiation, ...] = ()
    common_extended_negotiations: tuple[CommonExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    user_identity_response: bytes | None = None

    def encode(self) -> bytes:
        """The content of the item: its sub-items, by type."""
        return b"".join(encode_item(sub_item, content) for sub_item, content in self._sub_items())

    def _sub_items(self) -> list[tuple[SubItem, bytes]]:
        found = [(SubItem.MAXIMUM_LENGTH, self.max_pdu_length.to_bytes(4, "big"))]
        if self.implementation_class_uid:
            uid = encode_text(self.implementation_class_uid)
            found.append((SubItem.IMPLEMENTATION_CLASS_UID, uid))
        if self.asynchronous_operations is not None:
            window = b"".join(n.to_bytes(2, "big") for n in self.asynchronous_operations)
            found.append((SubItem.ASYNCHRONOUS_OPERATIONS, window))
        found += [(SubItem.ROLE_SELECTION, r.encode()) for r in self.role_selections]
        if self.implementation_version_name:
            name = encode_text(self.implementation_version_name)
            found.append((SubItem.IMPLEMENTATION_VERSION_NAME, name))
        found += [(SubItem.EXTENDED_NEGOTIATION, e.encode()) for e in self.extended_negotiations]
        found += [
            (SubItem.COMMON_EXTENDED_NEGOTIATION, e.encode())
            for e in self.common_extended_negotiations
        ]
        if self.user_identity is not None:
            found.append((SubItem.USER_IDENTITY, self.user_identity.encode()))
        if self.user_identity_response is not None:
            response = encode_counted(self.user_identity_response)
            found.append((SubItem.USER_IDENTITY_RESPONSE, response))
        return found

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Of a sub-item that may come once only, the last one holds."""
        single: dict[str, Any] = {}
        roles: list[RoleSelection] = []
        extended: list[ExtendedNegotiation] = []
        common_extended: list[CommonExtendedNegotiation] = []
        for item_type, start, end in items(content, 0, len(content)):
            value = content[start:end]
            match item_type:
                case SubItem.MAXIMUM_LENGTH:
                    single["max_pdu_length"] = Fields(value).number(4)
                case SubItem.IMPLEMENTATION_CLASS_UID:
                    single["implementation_class_uid"] = decode_text(value)
                case SubItem.ASYNCHRONOUS_OPERATIONS:
                    fields = Fields(value)
                    single["asynchronous_operations"] = (fields.number(2), fields.number(2))
                case SubItem.ROLE_SELECTION:
                    roles.append(RoleSelection.decode(value))
                case SubItem.IMPLEMENTATION_VERSION_NAME:
                    single["implementation_version_name"] = decode_text(value)
                case SubItem.EXTENDED_NEGOTIATION:
                    extended.append(ExtendedNegotiation.decode(value))
                case SubItem.COMMON_EXTENDED_NEGOTIATION:
                    common_extended.append(CommonExtendedNegotiation.decode(value))
                case SubItem.USER_IDENTITY:
                    single["user_identity"] = UserIdentity.decode(value)
                case SubItem.USER_IDENTITY_RESPONSE:
                    single["user_identity_response"] = Fields(value).counted()
        return cls(
            role_selections=tuple(roles),
            extended_negotiations=tuple(extended),
            common_extended_negotiations=tuple(common_extended),
            **single,
        )
