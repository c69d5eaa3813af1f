"""The demo's archive: pynetdicom's Storage SCP, so that the far end is not our own code."""

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt

AE_TITLE = "ARCHIVE"
SUCCESS = 0x0000


class Destination:
    """Keeps the data sets that it is sent, byte for byte, by SOP Instance UID."""

    def __init__(self) -> None:
        self.received: dict[str, tuple[str, bytes]] = {}  # UID -> transfer syntax, data set
        ae = AE(ae_title=AE_TITLE)
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
        self._server = ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )
        self.port: int = self._server.server_address[1]

    def _store(self, event: evt.Event) -> int:
        request = event.request
        self.received[str(request.AffectedSOPInstanceUID)] = (
            str(event.context.transfer_syntax),
            request.DataSet.getvalue(),
        )
        return SUCCESS

    def __enter__(self) -> "Destination":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
