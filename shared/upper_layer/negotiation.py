"""What to answer to the presentation contexts and roles that a requestor proposes."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from shared.upper_layer.pdu import AnsweredContext, ContextResult, ProposedContext
from shared.upper_layer.user_information import RoleSelection

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"


def answer_contexts(
    proposed: Sequence[ProposedContext], supports: Callable[[str], bool]
) -> tuple[AnsweredContext, ...]:
    """One answer to each context, in order; `supports` judges the abstract syntax.

    Of several transfer syntaxes the first one proposed is taken, so that the peer need not
    transcode what it likes best to send.
    """
    # PS3.8 9.3.2.2 wants ids to be odd, and 7.1.1.13 each to be used once. A peer that breaks this
    # still gets an A-ASSOCIATE-AC with its sound contexts. The others are refused under the id that
    # they came with: of two contexts with one id it could not be told which one a message is in.
    uses = Counter(context.id for context in proposed)
    return tuple(
        AnsweredContext(
            context.id,
            _result(context, uses[context.id], supports),
            # Says nothing in a refusal (PS3.8 9.3.3.2), but some peers insist on a UID.
            context.transfer_syntaxes[0]
            if context.transfer_syntaxes
            else IMPLICIT_VR_LITTLE_ENDIAN,
        )
        for context in proposed
    )


def _result(context: ProposedContext, uses: int, supports: Callable[[str], bool]) -> ContextResult:
    if context.id % 2 == 0 or uses > 1:
        return ContextResult.NO_REASON
    if not supports(context.abstract_syntax):
        return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    if not context.transfer_syntaxes:
        return ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    return ContextResult.ACCEPTANCE


def answer_roles(
    proposed: Sequence[RoleSelection], supports: Callable[[str], bool]
) -> tuple[RoleSelection, ...]:
    """The default roles, for each supported SOP class asked about: requestor SCU, acceptor SCP.

    A role that was not proposed cannot be granted (PS3.7 D.3.3.4).
    """
    return tuple(
        RoleSelection(role.sop_class_uid, scu=role.scu, scp=False)
        for role in proposed
        if supports(role.sop_class_uid)
    )
