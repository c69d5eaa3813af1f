from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from receiver.admission import (
    AT_LIMIT,
    CALLER_NOT_ALLOWED,
    DRAINING,
    STORAGE_FULL,
    UNKNOWN_CALLED_AE_TITLE,
    WRONG_APPLICATION_CONTEXT,
    WRONG_VERSION,
    Admitted,
    Load,
    admit,
)
from shared.settings import Settings
from shared.upper_layer.associate import AssociateRequest
from shared.upper_layer.presentation_context import ProposedContext
from shared.upper_layer.user_information import UserInformation
from tests.support.receivers import LocalReceiver, local_receiver, settings_for
from tests.support.samples import EXPLICIT
from tests.support.scu import ECHO_CONTEXT, STORAGE_CONTEXT

AT_EASE = Load(at_limit=False, storage_full=False, draining=False)
REQUEST = AssociateRequest("BRAIN", "CT01", (STORAGE_CONTEXT, ECHO_CONTEXT), UserInformation())
ECHO_ONLY = replace(REQUEST, presentation_contexts=(ECHO_CONTEXT,))
PEER = "10.1.2.3"


def settings(**sections: Any) -> Settings:
    return Settings(**settings_for(Path("unused"), **sections))


def brain(**values: Any) -> list[dict[str, Any]]:
    return [{"title": "BRAIN", "pipeline": "keep"} | values]


def is_admitted(decision: object) -> bool:
    return isinstance(decision, Admitted) and decision.ae_title.title == "BRAIN"


def test_an_ordinary_request_is_admitted_under_its_called_ae_title() -> None:
    assert is_admitted(admit(REQUEST, PEER, settings(), AT_EASE))


@pytest.mark.parametrize(("version", "admitted"), [(1, True), (3, True), (0, False), (2, False)])
def test_only_bit_0_of_the_protocol_version_counts(version: int, admitted: bool) -> None:
    decision = admit(replace(REQUEST, protocol_version=version), PEER, settings(), AT_EASE)
    assert is_admitted(decision) if admitted else decision is WRONG_VERSION


def test_another_application_context_is_refused() -> None:
    other = replace(REQUEST, application_context="1.2.3")
    assert admit(other, PEER, settings(), AT_EASE) is WRONG_APPLICATION_CONTEXT


def test_an_unknown_called_ae_title_is_refused() -> None:
    other = replace(REQUEST, called_ae_title="brain")
    assert admit(other, PEER, settings(), AT_EASE) is UNKNOWN_CALLED_AE_TITLE


def test_an_unknown_called_ae_title_gets_the_default_where_it_is_not_verified() -> None:
    lenient = settings(
        receiver={"verify_called_ae_title": False, "default_ae_title": "BRAIN"},
        ae_titles=[{"title": "OTHER", "pipeline": "keep"}, *brain()],
    )
    assert is_admitted(admit(replace(REQUEST, called_ae_title="WHO"), PEER, lenient, AT_EASE))
    known = admit(replace(REQUEST, called_ae_title="OTHER"), PEER, lenient, AT_EASE)
    assert isinstance(known, Admitted)
    assert known.ae_title.title == "OTHER"
    for malformed in ("", "A\x07", "A\\B"):
        request = replace(REQUEST, called_ae_title=malformed)
        assert admit(request, PEER, lenient, AT_EASE) is UNKNOWN_CALLED_AE_TITLE


@pytest.mark.parametrize("title", ["", "CT\x0001", "CT\n01", "CT\\01", "CT\xe9"])
def test_a_malformed_calling_ae_title_is_refused(title: str) -> None:
    request = replace(REQUEST, calling_ae_title=title)
    assert admit(request, PEER, settings(), AT_EASE) is CALLER_NOT_ALLOWED


@pytest.mark.parametrize(
    ("verify", "whole_receiver", "own", "admitted"),
    [
        (False, [], [], True),
        (False, ["MR02"], [], True),  # not verified: the list says nothing
        (True, ["CT01"], [], True),
        (True, ["MR02"], [], False),
        (False, [], ["CT01"], True),
        (False, [], ["MR02"], False),  # an AE title's own list always applies
        (True, ["CT01"], ["MR02"], False),
        (True, ["MR02"], ["CT01"], False),
        (True, ["CT01"], ["CT01"], True),
        (True, [], ["CT01"], True),
        (False, [], ["CT01@10.1.2.0/24"], True),
        (False, [], ["CT01@10.9.0.0/16"], False),
        (False, [], ["CT01@2001:db8::/32"], False),
        (False, [], ["MR02@10.9.0.0/16", "CT01@10.1.2.3"], True),
    ],
)
def test_who_may_call(
    verify: bool, whole_receiver: list[str], own: list[str], admitted: bool
) -> None:
    decided_by = settings(
        receiver={"verify_calling_ae_title": verify, "allowed_calling": whole_receiver},
        ae_titles=brain(allowed_calling=own),
    )
    decision = admit(REQUEST, PEER, decided_by, AT_EASE)
    assert is_admitted(decision) if admitted else decision is CALLER_NOT_ALLOWED


def test_at_the_limit_every_association_is_refused() -> None:
    load = replace(AT_EASE, at_limit=True)
    assert admit(REQUEST, PEER, settings(), load) is AT_LIMIT
    assert admit(ECHO_ONLY, PEER, settings(), load) is AT_LIMIT


@pytest.mark.parametrize(
    ("load", "refusal"),
    [
        (replace(AT_EASE, storage_full=True), STORAGE_FULL),
        (replace(AT_EASE, draining=True), DRAINING),
    ],
)
def test_without_room_only_storage_is_refused(load: Load, refusal: object) -> None:
    assert admit(REQUEST, PEER, settings(), load) is refusal
    private = ProposedContext(5, "1.3.46.670589.1", (EXPLICIT,))
    hidden = replace(REQUEST, presentation_contexts=(ECHO_CONTEXT, private))
    assert admit(hidden, PEER, settings(), load) is refusal
    assert is_admitted(admit(ECHO_ONLY, PEER, settings(), load))


def test_who_may_not_call_learns_nothing_of_the_load() -> None:
    load = Load(at_limit=True, storage_full=True, draining=True)
    other = replace(REQUEST, called_ae_title="WHO")
    assert admit(other, PEER, settings(), load) is UNKNOWN_CALLED_AE_TITLE


def test_refusals_have_their_codes_on_the_wire_and_nothing_follows(tmp_path: Path) -> None:
    titles = [
        *brain(),
        {"title": "CLOSED", "pipeline": "keep", "allowed_calling": ["MR02"]},
        {"title": "ELSEWHERE", "pipeline": "keep", "allowed_calling": ["CT01@10.0.0.0/8"]},
    ]
    with local_receiver(tmp_path, ae_titles=titles) as receiver:
        assert receiver.scu().rejection(called="WHO") == (1, 1, 7)
        assert receiver.scu().rejection(called="CLOSED") == (1, 1, 3)
        assert receiver.scu().rejection(called="ELSEWHERE") == (1, 1, 3)
        assert receiver.scu().rejection(calling="CT\x0701") == (1, 1, 3)
        assert receiver.scu().rejection(application_context="1.2.3") == (1, 1, 2)
        assert receiver.scu().rejection(protocol_version=2) == (1, 2, 2)
        receiver.associated(called="CLOSED", calling="MR02").release()


def test_an_ipv4_peer_of_an_ipv6_listener_is_known_by_its_ipv4_address(tmp_path: Path) -> None:
    titles = brain(allowed_calling=["CT01@127.0.0.0/8"])
    with local_receiver(tmp_path, receiver={"host": "::"}, ae_titles=titles) as receiver:
        receiver.associated().release()


def test_a_refused_peer_does_not_disturb_others(receiver: LocalReceiver) -> None:
    with receiver.associated() as scu:
        assert receiver.scu().rejection(called="WHO") == (1, 1, 7)
        assert scu.echo() == 0
