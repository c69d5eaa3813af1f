"""Varied but valid contents for PDUs and commands."""

import string
from typing import Any

from hypothesis import strategies as st

from shared.upper_layer.associate import AssociateAccept, AssociateRequest
from shared.upper_layer.c_services import (
    CancelRequest,
    EchoRequest,
    EchoResponse,
    StoreRequest,
    StoreResponse,
)
from shared.upper_layer.dimse import UnsupportedRequest, UnsupportedResponse
from shared.upper_layer.n_services import (
    ActionRequest,
    ActionResponse,
    EventReportRequest,
    EventReportResponse,
)
from shared.upper_layer.pdu import Abort, AssociateReject
from shared.upper_layer.presentation_context import AnsweredContext, ContextResult, ProposedContext
from shared.upper_layer.user_information import (
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    RoleSelection,
    UserIdentity,
    UserInformation,
)

_PRINTABLE = string.ascii_letters + string.digits + " _-./"


def uint(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1)


def stripped(alphabet: str, max_size: int) -> st.SearchStrategy[str]:
    texts = st.text(alphabet, min_size=1, max_size=max_size)
    return texts.map(lambda text: text.strip(" ")).filter(bool)


ae_titles = stripped(_PRINTABLE, 16)
uids = st.lists(st.integers(0, 99999), min_size=1, max_size=8).map(
    lambda components: ".".join(map(str, [1, 2, *components]))
)
odd_ids = st.integers(0, 127).map(lambda n: 2 * n + 1)
counted_bytes = st.binary(min_size=1, max_size=40)

proposed_contexts = st.lists(
    st.builds(
        ProposedContext,
        odd_ids,
        uids,
        st.lists(uids, min_size=1, max_size=4, unique=True).map(tuple),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda context: context.id,
).map(tuple)
answered_contexts = st.lists(
    st.builds(AnsweredContext, odd_ids, st.sampled_from(ContextResult), uids),
    min_size=1,
    max_size=5,
    unique_by=lambda context: context.id,
).map(tuple)


def _tuples_by_sop_class(items: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    unique = st.lists(items, max_size=3, unique_by=lambda item: item.sop_class_uid)
    return unique.map(tuple)


_common_user_information = {
    "max_pdu_length": uint(32),
    "implementation_class_uid": uids,
    "implementation_version_name": stripped(_PRINTABLE, 16),
    "asynchronous_operations": st.none() | st.tuples(uint(16), uint(16)),
    "role_selections": _tuples_by_sop_class(
        st.sampled_from([(True, True), (True, False), (False, True)]).flatmap(
            lambda roles: st.builds(
                RoleSelection, uids, scu=st.just(roles[0]), scp=st.just(roles[1])
            )
        )
    ),
    "extended_negotiations": _tuples_by_sop_class(
        st.builds(ExtendedNegotiation, uids, counted_bytes)
    ),
}
requested_user_information = st.builds(
    UserInformation,
    **_common_user_information,
    common_extended_negotiations=_tuples_by_sop_class(
        st.builds(CommonExtendedNegotiation, uids, uids, st.lists(uids, max_size=3).map(tuple))
    ),
    user_identity=st.none()
    | st.builds(
        UserIdentity,
        st.sampled_from([1, 3, 4, 5]),
        counted_bytes,
        response_requested=st.booleans(),
    )
    | st.builds(UserIdentity, st.just(2), counted_bytes, counted_bytes, st.booleans()),
)
accepted_user_information = st.builds(
    UserInformation, **_common_user_information, user_identity_response=st.none() | counted_bytes
)

associate_requests = st.builds(
    AssociateRequest, ae_titles, ae_titles, proposed_contexts, requested_user_information
)
associate_accepts = st.builds(
    AssociateAccept, ae_titles, ae_titles, answered_contexts, accepted_user_information
)
associate_rejects = st.builds(
    AssociateReject, st.sampled_from([1, 2]), st.just(1), st.sampled_from([1, 2, 3, 7])
)
aborts = st.builds(Abort, st.just(2), st.sampled_from([0, 1, 2, 4, 5, 6]))

store_requests = st.builds(
    StoreRequest,
    uint(16),
    uids,
    uids,
    st.sampled_from([0, 1, 2]),
    st.none() | ae_titles,
    st.none() | uint(16),
)
store_responses = st.builds(
    StoreResponse,
    uint(16),
    uids,
    uids,
    uint(16),
    st.just("") | stripped(_PRINTABLE, 64),
)
other_messages = st.one_of(
    st.builds(EchoRequest, uint(16)),
    st.builds(EchoResponse, uint(16), uint(16)),
    st.builds(CancelRequest, uint(16)),
    st.builds(UnsupportedRequest, st.sampled_from([0x20, 0x10, 0x140]), uint(16), st.booleans()),
    st.builds(UnsupportedResponse, uint(16), st.sampled_from([0x20, 0x140]), uint(16)),
)
_n_request = (uint(16), uids, uids, uint(16), st.booleans())
_n_response = (
    uint(16),
    uids,
    uids,
    uint(16),
    uint(16),
    st.just("") | stripped(_PRINTABLE, 64),
    st.booleans(),
)
action_requests = st.builds(ActionRequest, *_n_request)
action_responses = st.builds(ActionResponse, *_n_response)
event_report_requests = st.builds(EventReportRequest, *_n_request)
event_report_responses = st.builds(EventReportResponse, *_n_response)
n_messages = action_requests | action_responses | event_report_requests | event_report_responses
messages = store_requests | store_responses | other_messages | n_messages
