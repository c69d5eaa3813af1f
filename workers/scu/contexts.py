"""The presentation contexts that an association as requestor proposes."""

from collections.abc import Iterable

from shared.part10 import FileMeta
from shared.sop_classes import VERIFICATION
from shared.upper_layer.presentation_context import ProposedContext

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
MAX_CONTEXTS = 128  # odd ids from 1 to 255, PS3.8 9.3.2.2


def contexts_for(metas: Iterable[FileMeta]) -> tuple[ProposedContext, ...]:
    """A presentation context for each pair of SOP class and transfer syntax.

    An acceptor takes one transfer syntax of a context, and nothing here is ever transcoded.
    """
    pairs = dict.fromkeys((meta.sop_class_uid, meta.transfer_syntax_uid) for meta in metas)
    return tuple(
        ProposedContext(2 * index + 1, sop_class, (transfer_syntax,))
        for index, (sop_class, transfer_syntax) in enumerate(pairs)
    )


VERIFICATION_CONTEXT = ProposedContext(1, VERIFICATION, (IMPLICIT_VR_LITTLE_ENDIAN,))
