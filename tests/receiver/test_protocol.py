"""What a peer may get wrong, and what it is told."""

import struct

import pytest

from shared.upper_layer.c_services import CancelRequest, StoreResponse
from shared.upper_layer.dimse import UnsupportedRequest, UnsupportedResponse
from shared.upper_layer.events import AssociateRejected, MessageReceived
from shared.upper_layer.presentation_context import ContextResult, ProposedContext
from tests.support.receivers import LocalReceiver
from tests.support.samples import CT, EXPLICIT, IMPLICIT, WORKLIST, data_set
from tests.support.scu import STORAGE_CONTEXT
from tests.support.waiting import wait_for

ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x02"


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 1),
        (b"\x04\x00\x00\x00\x00\x10" + bytes(16), 2),
        (b"\x05\x00\x00\x00\x00\x04" + bytes(4), 2),
        (b"\x01\x00\xff\xff\xff\xff", 6),
        (b"\x01\x00\x11\xe1\xa3\x00" + bytes(50_000), 6),
    ],
    ids=["HTTP", "P-DATA first", "release first", "endless request", "300 MB request"],
)
def test_garbage_is_aborted_and_others_go_on(
    receiver: LocalReceiver, garbage: bytes, reason: int
) -> None:
    with receiver.associated() as other, receiver.scu() as scu:
        scu.socket.sendall(garbage)
        assert scu.rest() == ABORT + bytes([reason])
        assert other.echo() == 0
        other.release()


@pytest.mark.parametrize(
    "pdu",
    [
        b"\x04\x00\xff\xff\xff\xff",
        b"\x04\x00" + struct.pack(">L", 131073),
        b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x63\x03",  # context 99
        b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x01\x02",  # a data set without a command
        b"\x01\x00\x00\x00\x00\x44" + bytes(68),
        b"\x09\x00\x00\x00\x00\x00",
    ],
    ids=["endless", "over the maximum", "context", "no command", "second request", "unknown"],
)
def test_a_broken_pdu_within_an_association_aborts_and_rolls_back(
    receiver: LocalReceiver, pdu: bytes
) -> None:
    with receiver.associated() as other, receiver.associated() as scu:
        scu.store("1.2.3", data_set(1000))
        scu.socket.sendall(pdu)
        source, _ = scu.aborted()
        assert source == 2
        wait_for(receiver.aborted)
        assert receiver.aborted_delivery().reason.startswith("protocol error: ")
        other.release()
    assert receiver.committed() == []


def test_an_operation_that_is_not_spoken_is_answered_0211_after_its_data_set(
    receiver: LocalReceiver,
) -> None:
    with receiver.associated() as scu:
        scu.command(1, UnsupportedRequest(0x0020, 5, has_data_set=True))  # C-FIND-RQ
        scu.data(1, data_set(50_000))
        scu.command(1, UnsupportedRequest(0x0120, 6, has_data_set=False))  # N-SET-RQ
        answers = [scu.expect(MessageReceived).message for _ in range(2)]
        assert answers == [
            UnsupportedResponse(5, 0x0020, 0x0211),
            UnsupportedResponse(6, 0x0120, 0x0211),
        ]
        scu.command(1, CancelRequest(5))  # has no answer
        assert scu.echo() == 0
        scu.release()


def test_a_response_from_a_requestor_is_a_breach(receiver: LocalReceiver) -> None:
    with receiver.associated() as scu:
        scu.command(1, StoreResponse(1, CT, "1.2", 0))
        assert scu.aborted() == (2, 5)


def test_all_128_contexts_get_an_answer(receiver: LocalReceiver) -> None:
    contexts = [
        ProposedContext(n, CT if n % 4 == 1 else WORKLIST, (EXPLICIT, IMPLICIT))
        for n in range(1, 256, 2)
    ]
    with receiver.scu() as scu:
        accept = scu.associate(contexts=contexts)
        assert [answer.id for answer in accept.presentation_contexts] == list(range(1, 256, 2))
        for answer in accept.presentation_contexts:
            if answer.id % 4 == 1:
                assert answer.result is ContextResult.ACCEPTANCE
                assert answer.transfer_syntax == EXPLICIT
            else:
                assert answer.result is ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
        assert scu.store("1.2.3", data_set(100), context_id=253).status == 0
        scu.release()


def test_odd_abstract_syntaxes_are_refused_one_by_one(receiver: LocalReceiver) -> None:
    contexts = [STORAGE_CONTEXT, ProposedContext(5, "", (EXPLICIT,)), ProposedContext(7, "CT", ())]
    with receiver.scu() as scu:
        accept = scu.associate(contexts=contexts)
        assert [answer.result for answer in accept.presentation_contexts] == [0, 3, 3]
        scu.release()


def test_commands_and_data_in_one_segment_are_told_apart(receiver: LocalReceiver) -> None:
    with receiver.associated() as scu:
        stream = b""
        for number in range(50):
            stream += scu.requestor.send_command(1, scu.store_request(f"1.2.{number}"))
            pdus = scu.requestor.data_pdus(1, memoryview(data_set(500, number)), True)
            stream += b"".join(pdus)
        scu.socket.sendall(stream)
        for _ in range(50):
            message = scu.expect(MessageReceived).message
            assert isinstance(message, StoreResponse)
            assert message.status == 0
        scu.release()
    assert len(receiver.delivery().instances) == 50


def test_after_a_rejection_what_the_peer_says_is_ignored(receiver: LocalReceiver) -> None:
    with receiver.scu() as scu:
        assert isinstance(scu.request(called="WHO"), AssociateRejected)
        scu.socket.sendall(bytes(1000))
        assert scu.rest() == b""
