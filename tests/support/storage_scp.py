"""pynetdicom's Storage SCP, in threads of this process."""

from collections.abc import Callable, Sequence
from typing import Any

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import ColorPaletteStorage, Verification
from pynetdicom.transport import ThreadedAssociationServer

Handler = tuple[evt.EventType, Callable[[Any], object]]


def start_storage_scp(
    ae_title: str, handlers: Sequence[Handler], *, maximum_pdu_size: int = 16382
) -> ThreadedAssociationServer:
    """On a free port, for every storage SOP class in every transfer syntax; to be shut down."""
    ae = AE(ae_title=ae_title)
    ae.maximum_pdu_size = maximum_pdu_size
    ae.add_supported_context(Verification)
    classes = [context.abstract_syntax for context in AllStoragePresentationContexts]
    for sop_class in (*classes, ColorPaletteStorage):
        ae.add_supported_context(sop_class, ALL_TRANSFER_SYNTAXES)
    return ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
