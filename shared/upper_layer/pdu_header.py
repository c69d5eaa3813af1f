"""What every protocol data unit begins with (PS3.8 9.3.1): its type and its length."""

from enum import IntEnum
from struct import Struct
from typing import Final

PDU_HEADER: Final = Struct(">BxL")


class PduType(IntEnum):
    """PS3.8 9.3.1."""

    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


def encode_pdu(pdu_type: PduType, body: bytes) -> bytes:
    return PDU_HEADER.pack(pdu_type, len(body)) + body
