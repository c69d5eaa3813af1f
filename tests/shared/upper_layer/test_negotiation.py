"""Which presentation contexts and roles are accepted."""

import pytest

from shared.upper_layer.negotiation import answer_contexts, answer_roles
from shared.upper_layer.presentation_context import AnsweredContext, ContextResult, ProposedContext
from shared.upper_layer.user_information import RoleSelection

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT, EXPLICIT, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"


def answers(*proposed):
    return answer_contexts(proposed, {CT}.__contains__)


@pytest.mark.parametrize("transfer_syntaxes", [(JPEG, EXPLICIT, IMPLICIT), (IMPLICIT,), ("9.9",)])
def test_the_first_transfer_syntax_proposed_is_accepted(transfer_syntaxes):
    assert answers(ProposedContext(1, CT, transfer_syntaxes)) == (
        AnsweredContext(1, ContextResult.ACCEPTANCE, transfer_syntaxes[0]),
    )


def test_an_abstract_syntax_not_supported_is_refused_as_such():
    (answer,) = answers(ProposedContext(1, FIND, (EXPLICIT,)))
    assert answer.result is ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED


def test_a_context_without_a_transfer_syntax_is_answered_and_refused():
    (answer,) = answers(ProposedContext(1, CT, ()))
    assert answer.result is ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    assert answer.transfer_syntax == IMPLICIT


@pytest.mark.parametrize("other", ["", "../x", "1.2\0003", "1." + "2" * 63, "1" * 65000])
def test_what_is_no_uid_is_not_accepted_as_a_transfer_syntax(other):
    (answer,) = answers(ProposedContext(1, CT, (other, JPEG)))
    assert answer == AnsweredContext(1, ContextResult.ACCEPTANCE, JPEG)
    (answer,) = answers(ProposedContext(1, CT, (other,)))
    assert answer.result is ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    assert answer.transfer_syntax == IMPLICIT


@pytest.mark.parametrize("context_id", [0, 2, 254])
def test_an_even_context_id_is_refused_and_the_sound_ones_accepted(context_id):
    even, odd = answers(ProposedContext(context_id, CT, (JPEG,)), ProposedContext(3, CT, (JPEG,)))
    assert (even.id, even.result) == (context_id, ContextResult.NO_REASON)
    assert odd.result is ContextResult.ACCEPTANCE


def test_an_id_used_twice_is_refused_both_times():
    twice = [ProposedContext(1, CT, (JPEG,)), ProposedContext(1, CT, (EXPLICIT,))]
    *refused, sound = answers(*twice, ProposedContext(3, CT, (JPEG,)))
    assert [answer.result for answer in refused] == [ContextResult.NO_REASON] * 2
    assert sound.result is ContextResult.ACCEPTANCE


def test_only_the_default_role_is_granted_and_only_if_it_was_proposed():
    proposed = [
        RoleSelection(CT, scu=True, scp=True),
        RoleSelection(MR, scu=False, scp=True),
        RoleSelection(FIND, scu=True, scp=True),
    ]
    assert answer_roles(proposed, {CT, MR}.__contains__) == (
        RoleSelection(CT, scu=True, scp=False),
        RoleSelection(MR, scu=False, scp=False),
    )


@pytest.mark.parametrize("scu", [True, False])
def test_where_roles_are_reversed_the_requestor_is_the_scp_and_nothing_else(scu):
    proposed = [RoleSelection(CT, scu=scu, scp=True), RoleSelection(MR, scu=True, scp=True)]
    assert answer_roles(proposed, {CT, MR}.__contains__, {CT}) == (
        RoleSelection(CT, scu=False, scp=True),
        RoleSelection(MR, scu=True, scp=False),
    )


def test_roles_are_answered_once_for_a_sop_class_and_for_no_more_than_there_can_be():
    repeated = [RoleSelection(CT, scu=True, scp=scp) for scp in (False, True)] * 1000
    assert len(answer_roles(repeated, {CT}.__contains__)) == 1
    endless = [RoleSelection(f"1.2.3.{number}", scu=True, scp=True) for number in range(3000)]
    answered = answer_roles(endless, lambda uid: True)
    assert [role.sop_class_uid for role in answered] == [f"1.2.3.{n}" for n in range(128)]
