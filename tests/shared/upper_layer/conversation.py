"""Both sides of an association, brought to where a test begins."""

from shared.upper_layer.associate import AssociateRequest
from shared.upper_layer.association import Acceptor, Requestor
from shared.upper_layer.errors import ProtocolError
from shared.upper_layer.events import DataFragment
from shared.upper_layer.negotiation import answer_contexts
from shared.upper_layer.presentation_context import ProposedContext
from shared.upper_layer.user_information import UserInformation

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
EXPLICIT = "1.2.840.10008.1.2.1"
CONTEXTS = (
    ProposedContext(1, CT, (EXPLICIT,)),
    ProposedContext(3, VERIFICATION, (EXPLICIT,)),
    ProposedContext(5, "1.2.840.10008.5.1.4.31", (EXPLICIT,)),
)


def request(max_pdu_length=16384):
    return AssociateRequest("STORE", "CT01", CONTEXTS, UserInformation(max_pdu_length, "1.2.3"))


def accept(acceptor):
    answers = answer_contexts(CONTEXTS, {CT, VERIFICATION}.__contains__)
    return acceptor.accept(answers, UserInformation(implementation_class_uid="1.2.4"))


def established(max_pdu_length=16384, peer_max_pdu_length=16384):
    acceptor, requestor = Acceptor(max_pdu_length), Requestor(request(peer_max_pdu_length))
    list(acceptor.receive(requestor.associate()))
    list(requestor.receive(accept(acceptor)))
    return acceptor, requestor


def heard(association, chunks, react=lambda event: None):
    """The events of these chunks, data fragments joined, and the error that ended them, if any."""
    events = []
    try:
        for chunk in chunks:
            for event in association.receive(chunk):
                react(event)
                if not isinstance(event, DataFragment):
                    events.append(event)
                elif events and isinstance(events[-1], bytes):
                    events[-1] += event.payload.tobytes()
                else:
                    events.append(event.payload.tobytes())
    except ProtocolError as error:
        return events, error.reason
    return events, None


def p_data(*pdvs):
    """A P-DATA-TF PDU of (context id, message control header, fragment)."""
    body = b"".join(
        (len(fragment) + 2).to_bytes(4, "big") + bytes((context_id, control)) + fragment
        for context_id, control, fragment in pdvs
    )
    return pdu(0x04, body)


def pdu(pdu_type, body):
    return bytes((pdu_type, 0)) + len(body).to_bytes(4, "big") + body
