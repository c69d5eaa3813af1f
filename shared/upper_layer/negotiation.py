"""What to answer to the presentation contexts and roles that a requestor proposes."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Final

from shared.upper_layer.presentation_context import AnsweredContext, ContextResult, ProposedContext
from shared.upper_layer.user_information import RoleSelection

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"

_UID = re.compile(r"[0-9][0-9.]{0,63}", re.ASCII)  # as far as it matters (PS3.5 9.1)
_MOST_CONTEXTS = 128  # in one association, and so SOP classes that a role can matter for


def answer_contexts(
    proposed: Sequence[ProposedContext], supports: Callable[[str], bool]
) -> tuple[AnsweredContext, ...]:
    """One answer to each context, in order; `supports` judges the abstract syntax.

    Of several transfer syntaxes the first one proposed is taken, so that the peer need not
    transcode what it likes best to send. What is not a UID is passed over: it would be written
    into files that nothing can read.
    """
    # PS3.8 9.3.2.2 wants ids to be odd, and 7.1.1.13 each to be used once. A peer that breaks this
    # still gets an A-ASSOCIATE-AC with its sound contexts. The others are refused under the id that
    # they came with: of two contexts with one id it could not be told which one a message is in.
    uses = Counter(context.id for context in proposed)
    return tuple(_answer(context, uses[context.id], supports) for context in proposed)


def _answer(
    context: ProposedContext, uses: int, supports: Callable[[str], bool]
) -> AnsweredContext:
    transfer_syntax = next(filter(_UID.fullmatch, context.transfer_syntaxes), None)
    if context.id % 2 == 0 or uses > 1:
        result = ContextResult.NO_REASON
    elif not supports(context.abstract_syntax):
        result = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    elif transfer_syntax is None:
        result = ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    else:
        result = ContextResult.ACCEPTANCE
    # Says nothing in a refusal (PS3.8 9.3.3.2), but some peers insist on a UID.
    return AnsweredContext(context.id, result, transfer_syntax or IMPLICIT_VR_LITTLE_ENDIAN)


def answer_roles(
    proposed: Sequence[RoleSelection],
    supports: Callable[[str], bool],
    reversed_: Collection[str] = (),
) -> tuple[RoleSelection, ...]:
    """The default roles, for each supported SOP class asked about: requestor SCU, acceptor SCP.

    For those of `reversed_` it is the other way round, and the requestor the SCP.

    A role that was not proposed cannot be granted, and one that is not answered is the default one
    (PS3.7 D.3.3.4). So a peer that proposes more than there can be SOP classes loses nothing, and
    cannot make the answer longer than an item may be.
    """
    answers: dict[str, RoleSelection] = {}
    for role in proposed:
        if len(answers) < _MOST_CONTEXTS and supports(role.sop_class_uid):
            is_reversed = role.sop_class_uid in reversed_
            answer = RoleSelection(
                role.sop_class_uid,
                scu=role.scu and not is_reversed,
                scp=role.scp and is_reversed,
            )
            answers.setdefault(role.sop_class_uid, answer)
    return tuple(answers.values())
