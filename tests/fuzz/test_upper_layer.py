"""Garbage and damaged conversations: only protocol errors, little memory, no hang."""

import time
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.upper_layer.associate import AssociateRequest
from shared.upper_layer.dimse import encode_command
from shared.upper_layer.events import ReleaseRequested
from shared.upper_layer.pdu import Abort, AssociateReject, ReleaseRequest, ReleaseResponse
from shared.upper_layer.user_information import RoleSelection, UserInformation
from shared.upper_layer.writer import command_pdus, data_pdus
from tests.fuzz import target
from tests.fuzz.target import CT, ESTABLISHED, FRESH, REQUEST, STARTS
from tests.shared.upper_layer import strategies

HERE = Path(__file__).parent
KNOWN = sorted([*HERE.glob("corpus/*"), *HERE.glob("regressions/*")])
FRAGMENT = 64

starts = st.integers(0, STARTS - 1)
sizes = st.integers(0, 255)


def message(context_id: int, command: bytes, data: bytes | None) -> bytes:
    encoded = command_pdus(context_id, command, FRAGMENT)
    if data is not None:
        encoded += b"".join(data_pdus(context_id, memoryview(data), FRAGMENT, last=True))
    return encoded


# In the contexts that the target accepts; a refused one now and then.
messages = st.builds(
    message,
    st.sampled_from([1, 1, 1, 3, 3, 5]),
    strategies.messages.map(encode_command),
    st.none() | st.binary(max_size=300),
)
ends = st.sampled_from([ReleaseRequest(), ReleaseResponse(), Abort(0, 0), AssociateReject(1, 1, 7)])
requests = st.just(REQUEST) | strategies.associate_requests
conversations = st.builds(
    lambda request, said, end: b"".join([request.encode(), *said, end.encode()]),
    requests,
    st.lists(messages, max_size=5),
    ends,
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A conversation with bytes changed, cut out, put in, or said twice."""
    conversation = bytearray(draw(conversations))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(conversation)))
        end = min(len(conversation), start + draw(st.integers(0, 40)))
        kind = draw(st.sampled_from(["change", "cut", "put", "again", "large"]))
        if kind == "change" and start < len(conversation):
            conversation[start] ^= draw(st.integers(1, 255))
        elif kind == "cut":
            del conversation[start:end]
        elif kind == "put":
            conversation[start:start] = draw(st.binary(max_size=20))
        elif kind == "again":
            conversation[start:start] = conversation[start:end]
        else:  # a length, perhaps
            conversation[start : start + 4] = b"\xff" * draw(st.integers(1, 4))
    return bytes(conversation)


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in pairwise([0, *places, len(data)])]


@settings(max_examples=200)
@given(starts, sizes, st.binary(max_size=600))
def test_garbage_raises_nothing_but_protocol_errors(start: int, size: int, data: bytes) -> None:
    target.run(bytes((start, size)) + data)


@settings(max_examples=200)
@given(starts, damaged(), st.data())
def test_a_damaged_conversation_means_the_same_in_any_split(
    start: int, conversation: bytes, draw: st.DataObject
) -> None:
    whole = target.tell(start, iter([conversation]))
    assert target.tell(start, iter(draw.draw(cuts(conversation)))) == whole
    assert target.tell(start, target.pieces(conversation, 1)) == whole


@settings(max_examples=100)
@given(conversations, st.data())
def test_a_sound_conversation_means_the_same_in_any_split(
    conversation: bytes, draw: st.DataObject
) -> None:
    whole = target.tell(FRESH, iter([conversation]))
    assert target.tell(FRESH, iter(draw.draw(cuts(conversation)))) == whole


@pytest.mark.parametrize("path", KNOWN, ids=lambda path: path.name)
def test_recorded_conversations_and_earlier_finds_mean_the_same_in_any_split(path: Path) -> None:
    data = path.read_bytes()
    stories = [target.run(data[:1] + bytes((size,)) + data[2:]) for size in (0, 1, 7, 255)]
    assert stories[0]
    assert all(story == stories[0] for story in stories)


@settings(max_examples=100)
@given(st.sampled_from(KNOWN), st.integers(0, 1 << 20), st.integers(1, 255), sizes)
def test_recorded_conversations_with_a_byte_changed_raise_nothing_but_protocol_errors(
    path: Path, position: int, change: int, size: int
) -> None:
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= change
    target.run(bytes(data[:1]) + bytes((size,)) + bytes(data[2:]))


def test_as_many_roles_as_fit_into_a_request_can_be_answered() -> None:
    roles = tuple(RoleSelection(f"1.2.{n}", scu=True, scp=True) for n in range(1000, 5095))
    request = AssociateRequest(  # of 65 KB, the most there can be
        "STORE", "CT01", REQUEST.presentation_contexts, UserInformation(role_selections=roles)
    )
    story = target.tell(FRESH, iter([request.encode(), ReleaseRequest().encode()]))
    assert story[-1] == ReleaseRequested()


def largest_request(items: bytes) -> bytes:
    """An A-ASSOCIATE-RQ as long as one may be, full of the same items."""
    body = REQUEST.encode()[6:]
    body += items * (((1 << 20) - len(body)) // len(items))
    return b"\x01\0" + len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "items",
    [
        pytest.param(b"\x20\0\0\x04\x01\0\0\0", id="contexts of nothing"),
        pytest.param(b"\x20\0\0\x18\x01\0\0\0" + b"\x40\0\0\0" * 5, id="empty transfer syntaxes"),
        pytest.param(b"\x99\0\0\0", id="unknown items"),
        pytest.param(b"\x50\0\0\x08\x51\0\0\x04\0\0\x40\0", id="user informations"),
    ],
)
def test_the_longest_request_costs_little_memory_and_time(items: bytes) -> None:
    request = largest_request(items)
    tracemalloc.start()
    began = time.process_time()
    try:
        target.tell(FRESH, iter([request]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 << 20
    assert time.process_time() - began < 20  # under tracemalloc; without it a tenth of that


def test_an_endless_data_set_costs_no_memory() -> None:
    side = target.begin(ESTABLISHED)
    list(side.receive(message(1, encode_command(target.StoreRequest(1, CT, "1.2.3")), None)))
    piece = b"".join(data_pdus(1, memoryview(bytes(16000)), 16000, last=False))
    tracemalloc.start()
    try:
        for _ in range(2000):
            for _event in side.receive(piece):
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000
