"""pynetdicom's Storage SCP, in threads of this process."""

from collections.abc import Sequence

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts
from pynetdicom.sop_class import ColorPaletteStorage, Verification

from tests.support.prompt_server import Handler, PromptServer, start_server


def start_storage_scp(
    ae_title: str, handlers: Sequence[Handler], *, maximum_pdu_size: int = 16382
) -> PromptServer:
    """On a free port, for every storage SOP class in every transfer syntax; to be shut down."""
    ae = AE(ae_title=ae_title)
    ae.maximum_pdu_size = maximum_pdu_size
    ae.add_supported_context(Verification)
    classes = [context.abstract_syntax for context in AllStoragePresentationContexts]
    for sop_class in (*classes, ColorPaletteStorage):
        ae.add_supported_context(sop_class, ALL_TRANSFER_SYNTAXES)
    return start_server(ae, handlers)
