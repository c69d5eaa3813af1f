"""A destination: pynetdicom's SCP, which keeps what it gets and answers what it is told to."""

from collections.abc import Callable
from typing import Any, NamedTuple

from pynetdicom import evt

from tests.support.storage_scp import start_storage_scp

AE_TITLE = "PACS"


class Received(NamedTuple):
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes


class Pacs:
    """`answer` is asked for the status of each SOP Instance UID."""

    def __init__(self, *, maximum_pdu_size: int = 16382) -> None:
        self.forget()
        self._server = start_storage_scp(
            AE_TITLE,
            [
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_ESTABLISHED, self._established),
                (evt.EVT_ABORTED, self._aborted),
                (evt.EVT_RELEASED, self._released),
                (evt.EVT_PDU_RECV, self._pdu),
            ],
            maximum_pdu_size=maximum_pdu_size,
        )
        self.port: int = self._server.server_address[1]

    def forget(self) -> None:
        """As if it had just been started."""
        self.answer: Callable[[str], int] = lambda uid: 0x0000
        self.received: list[Received] = []
        self.associations: list[Any] = []  # pynetdicom's, one for each that was established
        self.aborted = 0
        self.released = 0
        self.pdu_lengths: list[int] = []  # of P-DATA-TF

    @property
    def uids(self) -> list[str]:
        """The SOP Instance UIDs that came, in order."""
        return [received.sop_instance_uid for received in self.received]

    @property
    def section(self) -> dict[str, Any]:
        """It as a destination in the settings."""
        return {"ae_title": AE_TITLE, "host": "127.0.0.1", "port": self.port}

    def __enter__(self) -> "Pacs":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    def _store(self, event: Any) -> int:
        self.received.append(
            Received(
                str(event.request.AffectedSOPClassUID),
                str(event.request.AffectedSOPInstanceUID),
                str(event.context.transfer_syntax),
                event.encoded_dataset(include_meta=False),
            )
        )
        return self.answer(str(event.request.AffectedSOPInstanceUID))

    def _established(self, event: Any) -> None:
        self.associations.append(event.assoc)

    def _aborted(self, event: Any) -> None:
        self.aborted += 1

    def _released(self, event: Any) -> None:
        self.released += 1

    def _pdu(self, event: Any) -> None:
        if event.pdu.pdu_type == 0x04:
            self.pdu_lengths.append(event.pdu.pdu_length)
