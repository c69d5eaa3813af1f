"""A destination that is asked what it keeps: pynetdicom's SCP of storage and its commitment."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

from pydicom import Dataset
from pydicom.uid import AllTransferSyntaxes, ImplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from tests.support.prompt_server import HOST, start_server

AE_TITLE = "KEEPER"
INSTANCE = "1.2.840.10008.1.20.1.1"
NO_SUCH_OBJECT_INSTANCE = 0x0112
SUCCESS = 0x0000


class Question(NamedTuple):
    transaction_uid: str
    references: tuple[tuple[str, str], ...]  # SOP class, SOP instance
    association: Any  # pynetdicom's


class Keeper:
    """Keeps what it gets, and says so by a call of `port`, to whom it was asked by.

    What it does about a question is `react`, in a thread of its own.
    """

    def __init__(self, port: int = 0) -> None:
        self.port_to_call = port
        self.received: list[str] = []  # SOP Instance UIDs, in order
        self.kept: set[str] = set()
        self.failure_reason = NO_SUCH_OBJECT_INSTANCE
        self.questions: list[Question] = []
        self.statuses: list[int] = []  # N-EVENT-REPORT responses
        self.react: Callable[[Question], object] = self.call_and_report
        self.store_status = SUCCESS
        self.action_status = SUCCESS
        self.associations = 0
        self._threads: list[threading.Thread] = []
        ae = AE(ae_title=AE_TITLE)
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax, list(AllTransferSyntaxes))
        ae.add_supported_context(Verification)
        ae.add_supported_context(StorageCommitmentPushModel)
        self._server = start_server(
            ae,
            [
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_N_ACTION, self._action),
                (evt.EVT_ACCEPTED, self._accepted),
            ],
        )
        self.port: int = self._server.server_address[1]

    def section(self, **options: Any) -> dict[str, Any]:
        """It as a destination in the settings."""
        known = {"ae_title": AE_TITLE, "host": HOST, "port": self.port, "storage_commitment": True}
        return known | options

    def lose(self, *uids: str) -> None:
        self.kept -= set(uids)

    def report(self, question: Question) -> tuple[int, Dataset]:
        """Event type, and what is to be said."""
        said = Dataset()
        said.TransactionUID = question.transaction_uid
        kept = [each for each in question.references if each[1] in self.kept]
        lost = [each for each in question.references if each[1] not in self.kept]
        said.ReferencedSOPSequence = [reference(*each) for each in kept]
        if lost:
            said.FailedSOPSequence = [reference(*each) for each in lost]
            for item in said.FailedSOPSequence:
                item.FailureReason = self.failure_reason
        return (2 if lost else 1), said

    def say_nothing(self, question: Question) -> None:
        """As one that forgets."""

    def answer_at_once(self, question: Question) -> None:
        """On the association that it was asked on."""
        event_type, said = self.report(question)
        self.tell(question.association, event_type, said)

    def call_and_report(self, question: Question, *, called: str = "PENSTOCK") -> None:
        """On an association of its own."""
        event_type, said = self.report(question)
        self.say(event_type, said, called=called)

    def say(self, event_type: int, said: Dataset, *, called: str = "PENSTOCK") -> None:
        ae = AE(ae_title=AE_TITLE)
        ae.add_requested_context(StorageCommitmentPushModel, ImplicitVRLittleEndian)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        association = ae.associate(HOST, self.port_to_call, ae_title=called, ext_neg=[role])
        assert association.is_established
        self.tell(association, event_type, said)
        association.release()

    def tell(self, association: Any, event_type: int, said: Dataset) -> None:
        answer, _ = association.send_n_event_report(
            said, event_type, StorageCommitmentPushModel, INSTANCE
        )
        if answer:  # else the association broke before
            self.statuses.append(answer.Status)

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for thread in self._threads:
            thread.join(15)
        self._server.shutdown()

    def _accepted(self, event: Any) -> None:
        self.associations += 1

    def _store(self, event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.received.append(uid)
        self.kept.add(uid)
        return self.store_status

    def _action(self, event: Any) -> tuple[int, None]:
        asked = event.action_information
        question = Question(
            str(asked.TransactionUID),
            tuple(
                (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
                for item in asked.ReferencedSOPSequence
            ),
            event.assoc,
        )
        self.questions.append(question)
        if self.action_status == SUCCESS:
            thread = threading.Thread(target=self.react, args=(question,), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self.action_status, None


def reference(sop_class: str, uid: str) -> Dataset:
    """An item of a sequence of SOP references."""
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = uid
    return item
