"""What is no DICOM, or not quite (R7): the process lives, and other associations go on."""

import contextlib
import random
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.upper_layer.associate import AssociateRequest
from shared.upper_layer.c_services import EchoRequest, StoreRequest
from shared.upper_layer.dimse import encode_command
from shared.upper_layer.pdu import ReleaseRequest
from shared.upper_layer.user_information import UserInformation
from shared.upper_layer.writer import command_pdus, data_pdus
from tests.faults.invariants import committed, content, uids
from tests.support.receivers import ReceiverProcess
from tests.support.samples import CT
from tests.support.scu import ECHO_CONTEXT, STORAGE_CONTEXT
from tests.support.waiting import wait_for

ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x02"
UNRECOGNIZED, UNEXPECTED, UNEXPECTED_PARAMETER, INVALID_PARAMETER = 1, 2, 5, 6
CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus"
STORE_COMMAND = encode_command(StoreRequest(1, CT, "1.2.4"))
ECHO_COMMAND = encode_command(EchoRequest(2))
FRAGMENT = 1000


def pdu(pdu_type: int, body: bytes) -> bytes:
    return bytes((pdu_type, 0)) + len(body).to_bytes(4, "big") + body


def p_data(*pdvs: tuple[int, int, bytes]) -> bytes:
    """A P-DATA-TF PDU of (context id, message control header, fragment)."""
    return pdu(
        4,
        b"".join(
            (len(fragment) + 2).to_bytes(4, "big") + bytes((context_id, control)) + fragment
            for context_id, control, fragment in pdvs
        ),
    )


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: penstock\r\n\r\n", UNRECOGNIZED, id="HTTP"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", UNRECOGNIZED, id="TLS"),
        pytest.param(bytes(1000), UNRECOGNIZED, id="zeros"),
        pytest.param(pdu(8, bytes(4)), UNRECOGNIZED, id="PDU type 8"),
        pytest.param(pdu(0xFF, bytes(4)), UNRECOGNIZED, id="PDU type 255"),
        pytest.param(p_data((1, 3, ECHO_COMMAND)), UNEXPECTED, id="P-DATA first"),
        pytest.param(pdu(2, bytes(100)), UNEXPECTED, id="A-ASSOCIATE-AC"),
        pytest.param(pdu(3, bytes(4)), UNEXPECTED, id="A-ASSOCIATE-RJ"),
        pytest.param(pdu(5, bytes(4)), UNEXPECTED, id="A-RELEASE-RQ first"),
        pytest.param(pdu(6, bytes(4)), UNEXPECTED, id="A-RELEASE-RP first"),
        pytest.param(pdu(1, b""), INVALID_PARAMETER, id="empty request"),
        pytest.param(pdu(1, b"\0\1" + bytes(60)), INVALID_PARAMETER, id="short request"),
        pytest.param(
            pdu(1, b"\0\1" + bytes(66) + b"\x10\0\xff\xff"), INVALID_PARAMETER, id="item too long"
        ),
    ],
)
def test_what_is_no_request_is_aborted_for_its_reason(
    receiver: ReceiverProcess, said: bytes, reason: int
) -> None:
    with receiver.scu() as scu:
        scu.socket.sendall(said)
        assert scu.rest() == ABORT + bytes((reason,))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(pdu(9, b""), UNRECOGNIZED, id="unknown PDU"),
        pytest.param(pdu(6, bytes(4)), UNEXPECTED, id="A-RELEASE-RP"),
        pytest.param(pdu(4, b""), INVALID_PARAMETER, id="P-DATA without a PDV"),
        pytest.param(pdu(4, b"\0\0\0\0\x01\x03"), INVALID_PARAMETER, id="PDV of length 0"),
        pytest.param(pdu(4, b"\0\0\0\1\x01\x03"), INVALID_PARAMETER, id="PDV of length 1"),
        pytest.param(
            pdu(4, b"\xff\xff\xff\xff\x01\x03abc"), INVALID_PARAMETER, id="PDV longer than its PDU"
        ),
        pytest.param(p_data((2, 3, ECHO_COMMAND)), INVALID_PARAMETER, id="even context"),
        pytest.param(p_data((99, 3, ECHO_COMMAND)), INVALID_PARAMETER, id="context never offered"),
        pytest.param(p_data((1, 2, b"data")), UNEXPECTED_PARAMETER, id="data without a command"),
        pytest.param(p_data((1, 3, b"garbage")), INVALID_PARAMETER, id="garbage for a command"),
        pytest.param(
            p_data((1, 3, STORE_COMMAND), (1, 3, STORE_COMMAND)),
            UNEXPECTED_PARAMETER,
            id="a command where data should be",
        ),
        pytest.param(
            p_data((1, 3, STORE_COMMAND), (1, 0, b"da"), (3, 3, ECHO_COMMAND)),
            UNEXPECTED_PARAMETER,
            id="a message within a message",
        ),
        pytest.param(
            p_data((1, 3, STORE_COMMAND), (3, 2, b"data")),
            UNEXPECTED_PARAMETER,
            id="data in another context",
        ),
        pytest.param(
            p_data((1, 3, STORE_COMMAND), (1, 0, b"da")) + pdu(5, bytes(4)),
            UNEXPECTED,
            id="release within a message",
        ),
    ],
)
def test_a_breach_within_an_association_rolls_it_back(
    receiver: ReceiverProcess, said: bytes, reason: int
) -> None:
    with receiver.associated() as scu:
        assert scu.store("1.2.3", content("1.2.3")).status == 0
        scu.socket.sendall(said)
        assert scu.aborted() == (2, reason)
    wait_for(receiver.aborted)
    assert receiver.aborted_delivery().reason.startswith("protocol error: ")
    assert committed(receiver) == []


def test_zero_length_and_tiny_fragments_are_no_breach(receiver: ReceiverProcess) -> None:
    data = content("1.2.4")
    with receiver.associated() as scu:
        scu.socket.sendall(
            b"".join(p_data((1, 1, STORE_COMMAND[i : i + 1])) for i in range(len(STORE_COMMAND)))
            + p_data((1, 3, b""))
            + p_data(*((1, 0, data[i : i + 2]) for i in range(0, len(data), 2)))
            + p_data((1, 0, b""), (1, 2, b""))
        )
        assert getattr(scu.event(), "message", None)
        scu.release()
    (delivery,) = committed(receiver)
    assert uids(delivery) == ["1.2.4"]


def conversation() -> bytes:
    """Two instances and an echo, released: as a sender says it that waits for no answer."""
    request = AssociateRequest(
        "BRAIN", "CT01", (STORAGE_CONTEXT, ECHO_CONTEXT), UserInformation(16384, "1.2.3.4")
    )
    said = request.encode()
    for uid in ("1.2.3", "1.2.4"):
        said += command_pdus(1, encode_command(StoreRequest(1, CT, uid)), FRAGMENT)
        said += b"".join(data_pdus(1, memoryview(content(uid)), FRAGMENT, last=True))
    said += command_pdus(3, ECHO_COMMAND, FRAGMENT)
    return said + ReleaseRequest().encode()


def damaged(said: bytes, chance: random.Random) -> bytes:
    spoiled = bytearray(said)
    for _ in range(chance.randint(1, 3)):
        start = chance.randrange(len(spoiled))
        match chance.choice(["flip", "flip", "cut", "put", "again"]):
            case "flip":
                spoiled[start] ^= chance.randint(1, 255)
            case "cut":
                del spoiled[start : start + chance.randint(1, 50)]
            case "put":
                spoiled[start:start] = chance.randbytes(chance.randint(1, 50))
            case "again":
                spoiled[start:start] = spoiled[start : start + chance.randint(1, 200)]
    return bytes(spoiled)


def say(address: tuple[str, int], said: bytes, pieces: int) -> bytes:
    """Says it all, and nothing more; what was answered before the end."""
    with socket.create_connection(address, 20) as peer:
        with contextlib.suppress(ConnectionError):
            size = len(said) // pieces + 1
            for start in range(0, len(said), size):
                peer.sendall(said[start : start + size])
            peer.shutdown(socket.SHUT_WR)
        answers = b""
        with contextlib.suppress(ConnectionError):
            while data := peer.recv(65536):
                answers += data
        return answers


def check_framed(answers: bytes) -> None:
    """Whatever was said before, the answers are whole PDUs, and nothing follows an end."""
    types = []
    while answers:
        length = int.from_bytes(answers[2:6], "big")
        assert len(answers) >= 6 + length
        types.append(answers[0])
        answers = answers[6 + length :]
    assert set(types) <= {2, 3, 4, 6, 7}
    assert not {3, 6, 7} & set(types[:-1])


@pytest.mark.parametrize("seed", range(3))
def test_damaged_conversations_harm_nobody_else(receiver: ReceiverProcess, seed: int) -> None:
    chance = random.Random(seed)
    recorded = [path.read_bytes()[2:] for path in sorted(CORPUS.iterdir())]
    said = [conversation(), *recorded]
    spoiled = [damaged(chance.choice(said), chance) for _ in range(150)]
    with ThreadPoolExecutor(8) as peers:
        futures = [
            peers.submit(say, receiver.address, each, chance.randint(1, 20)) for each in spoiled
        ]
        for future in futures:
            check_framed(future.result())
