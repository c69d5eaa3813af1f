"""What is fuzzed: one side of an association, fed any bytes in any split, answering as we do.

The first byte of an input chooses where the conversation stands, the second how it is split, the
rest is what the peer sends. Anything raised but a `ProtocolError` is a find, as is an answer that
cannot be decoded, and an event too many: `run` raises for each of them.
"""

from collections.abc import Iterator
from typing import Final

from receiver.admission import Admitted
from receiver.negotiation import answer
from shared.settings.receiving import AeTitleEntry
from shared.settings.sections import Dicom
from shared.upper_layer.associate import AssociateAccept, AssociateRequest
from shared.upper_layer.association import Acceptor, Association, Requestor
from shared.upper_layer.c_services import EchoRequest, EchoResponse, StoreRequest, StoreResponse
from shared.upper_layer.dimse import Message, UnsupportedRequest, UnsupportedResponse
from shared.upper_layer.errors import AbortReason, ProtocolError
from shared.upper_layer.events import (
    Aborted,
    AssociateRejected,
    AssociateRequested,
    DataEnded,
    DataFragment,
    Event,
    MessageReceived,
    ReleaseConfirmed,
    ReleaseRequested,
)
from shared.upper_layer.n_services import ActionRequest, EventReportRequest, EventReportResponse
from shared.upper_layer.presentation_context import ProposedContext
from shared.upper_layer.state import State
from shared.upper_layer.user_information import UserInformation

CT: Final = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION: Final = "1.2.840.10008.1.1"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
MAX_PDU_LENGTH: Final = 16384

FRESH, ESTABLISHED, AWAITING_ANSWER, AWAITING_RESPONSE = range(4)
STARTS: Final = 4

REQUEST: Final = AssociateRequest(
    "STORE",
    "CT01",
    (ProposedContext(1, CT, (EXPLICIT,)), ProposedContext(3, VERIFICATION, (EXPLICIT,))),
    UserInformation(MAX_PDU_LENGTH, "1.2.3", "FUZZER"),
)
_DICOM: Final = Dicom()
_ADMITTED: Final = Admitted(AeTitleEntry(title="STORE", pipeline="keep"), may_report=True)
_OVER: Final = (Aborted, AssociateRejected, ReleaseConfirmed)

Story = list[Event | bytes | AbortReason]


def run(data: bytes) -> Story:
    """What these bytes mean: events, data sets joined, and the reason that ended them, if any."""
    if len(data) < 2:
        return []
    return tell(data[0] % STARTS, pieces(data[2:], data[1]))


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """`data` in pieces of `size` bytes; 0 leaves it whole."""
    step = size or len(data) or 1
    return (data[start : start + step] for start in range(0, len(data), step))


def tell(start: int, chunks: Iterator[bytes]) -> Story:
    side = begin(start)
    story: Story = []
    for chunk in chunks:
        try:
            for event in side.receive(chunk):
                _note(story, event)
                if isinstance(side, Acceptor):
                    _answer(side, event)
                if isinstance(event, _OVER):
                    assert side.state is State.AWAITING_CLOSE
        except ProtocolError as error:
            _abort(side, error)
            return [*story, error.reason]
    return story


def _abort(side: Association, error: ProtocolError) -> None:
    assert side.state is not State.AWAITING_CLOSE, "there is nobody left to be aborted"
    assert len(side.abort(error.source, error.reason)) == 10
    assert list(side.receive(b"\x01" * 64)) == [], "heard after the end"


def begin(start: int) -> Association:
    """One side, where the conversation stands."""
    if start == FRESH:
        return Acceptor(MAX_PDU_LENGTH)
    acceptor, requestor = Acceptor(MAX_PDU_LENGTH), Requestor(REQUEST)
    for event in acceptor.receive(requestor.associate()):
        accepted = _answer(acceptor, event)
    if start == AWAITING_ANSWER:
        return requestor
    if start == ESTABLISHED:
        return acceptor
    list(requestor.receive(accepted))
    requestor.send_command(1, StoreRequest(1, CT, "1.2.3"))
    return requestor


def _note(story: Story, event: Event) -> None:
    if not isinstance(event, DataFragment):
        story.append(event)
    elif story and isinstance(story[-1], bytes):
        story[-1] += bytes(event.payload)
    else:
        story.append(bytes(event.payload))


def _answer(acceptor: Acceptor, event: Event) -> bytes:
    match event:
        case AssociateRequested(request):
            contexts, ours = answer(request, _ADMITTED, _DICOM)
            encoded = acceptor.accept(contexts, ours)
            assert AssociateAccept.decode(encoded[6:]).presentation_contexts == contexts
            return encoded
        case MessageReceived(context_id, message):
            return _respond(acceptor, context_id, message)
        case DataEnded(context_id):
            return acceptor.respond(context_id, EchoResponse(1, 0))
        case ReleaseRequested():
            return acceptor.release_response()
    return b""


def _respond(acceptor: Acceptor, context_id: int, message: Message) -> bytes:
    match message:
        case StoreRequest(message_id, sop_class_uid, sop_instance_uid):
            response = StoreResponse(message_id, sop_class_uid, sop_instance_uid, 0x0117)
            return acceptor.respond(context_id, response)
        case EchoRequest(message_id):
            return acceptor.respond(context_id, EchoResponse(message_id, 0))
        case EventReportRequest(message_id, sop_class_uid, sop_instance_uid, type_id):
            report = EventReportResponse(message_id, sop_class_uid, sop_instance_uid, type_id, 0)
            return acceptor.respond(context_id, report)
        case UnsupportedRequest() | ActionRequest():
            refused = UnsupportedResponse(message.message_id, message.command_field, 0x0211)
            return acceptor.respond(context_id, refused)
    return b""
