"""Destinations that call to say what they keep: who may, in which role, and what is left of it."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from shared.commitment.report import reports
from shared.commitment.transaction import Transaction
from shared.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from shared.upper_layer.events import MessageReceived
from shared.upper_layer.n_services import (
    ActionRequest,
    ActionResponse,
    EventReportRequest,
    EventReportResponse,
)
from shared.upper_layer.presentation_context import ContextResult, ProposedContext
from shared.upper_layer.user_information import RoleSelection
from tests.support.receivers import LocalReceiver, local_receiver
from tests.support.samples import CT, IMPLICIT, data_set
from tests.support.scu import ECHO_CONTEXT, STORAGE_CONTEXT, Scu

COMMITMENT_CONTEXT = ProposedContext(5, STORAGE_COMMITMENT, (IMPLICIT,))
AS_SCP = (RoleSelection(STORAGE_COMMITMENT, scu=False, scp=True),)
PACS = {"ae_title": "PACS", "host": "127.0.0.1", "port": 104, "storage_commitment": True}
OTHER = {"ae_title": "OTHER", "host": "127.0.0.1", "port": 104}
REPORTING: dict[str, Any] = {
    "called": "SENDER",
    "calling": "PACS",
    "contexts": (COMMITMENT_CONTEXT, ECHO_CONTEXT, STORAGE_CONTEXT),
    "roles": AS_SCP,
}
SETTINGS: dict[str, Any] = {
    "exporter": {"ae_title": "SENDER"},
    "destinations": {"PACS": PACS, "OTHER": OTHER},
}


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[LocalReceiver]:
    with local_receiver(tmp_path, **SETTINGS) as running:
        yield running


@pytest.fixture
def transaction_uid(receiver: LocalReceiver) -> str:
    """Of one that was asked for."""
    return Transaction(job="J", destination="PACS").begin(receiver.tree)


def said(transaction_uid: str) -> bytes:
    """A report's data set, as far as the receiver reads it."""
    value = transaction_uid.encode() + b"\0" * (len(transaction_uid) % 2)
    return struct.pack("<HHI", 0x0008, 0x1195, len(value)) + value


def report(
    scu: Scu,
    data: bytes,
    *,
    sop_class: str = STORAGE_COMMITMENT,
    instance: str = STORAGE_COMMITMENT_INSTANCE,
    event_type: int | None = 1,
) -> int | None:
    """The status of the answer."""
    request = EventReportRequest(7, sop_class, instance, event_type, has_data_set=bool(data))
    scu.command(5, request)
    if data:
        scu.data(5, data)
    response = scu.expect(MessageReceived).message
    assert isinstance(response, EventReportResponse)
    assert response.message_id_responded_to == 7
    assert response.type_id == event_type
    return response.status


def results(scu: Scu, **request: Any) -> dict[int, ContextResult]:
    accept = scu.associate(**(REPORTING | request))
    return {context.id: context.result for context in accept.presentation_contexts}


def kept(receiver: LocalReceiver) -> list[Path]:
    return [path for _, path in reports(receiver.tree)]


def test_a_report_is_on_disk_before_it_is_answered(
    receiver: LocalReceiver, transaction_uid: str
) -> None:
    with receiver.associated(**REPORTING) as scu:
        assert report(scu, said(transaction_uid)) == 0x0000
        (path,) = kept(receiver)
        assert path.name.startswith(f"{transaction_uid}_")
        file = pydicom.dcmread(path)
        assert file.TransactionUID == transaction_uid
        assert file.file_meta.MediaStorageSOPClassUID == STORAGE_COMMITMENT
        scu.release()
    assert receiver.committed() == []


def test_the_exporters_ae_title_takes_only_reports_and_echoes(receiver: LocalReceiver) -> None:
    refused = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    taken = ContextResult.ACCEPTANCE
    with receiver.scu() as scu:
        assert results(scu) == {5: taken, 3: taken, 1: refused}
        assert scu.echo() == 0
        scu.command(3, scu.store_request("1.2.3"))  # in a context that is for echoes
        scu.data(3, data_set(100))
        answer = scu.expect(MessageReceived).message
        assert getattr(answer, "status", None) == 0x0122
        scu.release()
    assert receiver.committed() == receiver.incoming() == []


def test_the_peer_is_the_scp_and_not_we(receiver: LocalReceiver) -> None:
    proposed = (RoleSelection(STORAGE_COMMITMENT, scu=True, scp=True),)
    with receiver.scu() as scu:
        accept = scu.associate(**(REPORTING | {"roles": proposed}))
        (role,) = accept.user_information.role_selections
        assert role == RoleSelection(STORAGE_COMMITMENT, scu=False, scp=True)


@pytest.mark.parametrize("roles", [(), (RoleSelection(STORAGE_COMMITMENT, scu=True, scp=False),)])
def test_who_takes_us_for_the_scp_is_refused_that_context(
    receiver: LocalReceiver, roles: tuple[RoleSelection, ...]
) -> None:
    with receiver.scu() as scu:
        assert results(scu, roles=roles)[5] is ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED


@pytest.mark.parametrize(
    ("request_", "rejection"),
    [
        ({"calling": "CT01"}, (1, 1, 7)),
        ({"calling": "OTHER"}, (1, 1, 7)),  # a destination that is asked for nothing
        ({"called": "WHO"}, (1, 1, 7)),
    ],
)
def test_nobody_else_may_call_the_exporter(
    receiver: LocalReceiver, request_: dict[str, str], rejection: tuple[int, int, int]
) -> None:
    assert receiver.scu().rejection(**(REPORTING | request_)) == rejection


def test_one_of_our_ae_titles_takes_no_reports(receiver: LocalReceiver) -> None:
    with receiver.scu() as scu:
        assert results(scu, called="BRAIN") == {
            5: ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED,
            3: ContextResult.ACCEPTANCE,
            1: ContextResult.ACCEPTANCE,
        }


@pytest.mark.parametrize(
    ("allowed", "storage"),
    [([], ContextResult.ACCEPTANCE), (["CT01"], ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED)],
)
def test_an_exporter_that_also_receives_takes_both_from_whom_it_may(
    tmp_path: Path, allowed: list[str], storage: ContextResult
) -> None:
    titles = [{"title": "SENDER", "pipeline": "keep", "allowed_calling": allowed}]
    with local_receiver(tmp_path, ae_titles=titles, **SETTINGS) as receiver:
        transaction_uid = Transaction(job="J", destination="PACS").begin(receiver.tree)
        with receiver.scu() as scu:
            found = results(scu)
            assert found[5] is ContextResult.ACCEPTANCE
            assert found[1] is storage
            assert report(scu, said(transaction_uid)) == 0x0000
        assert receiver.scu().request(called="SENDER", calling="CT01")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"sop_class": CT}, 0x0118),
        ({"instance": "1.2.3"}, 0x0112),
        ({"event_type": 3}, 0x0113),
        ({"event_type": None}, 0x0113),
    ],
)
def test_what_is_no_report_of_storage_commitment_is_told_so(
    receiver: LocalReceiver, transaction_uid: str, change: dict[str, Any], status: int
) -> None:
    with receiver.associated(**REPORTING) as scu:
        assert report(scu, said(transaction_uid), **change) == status
        assert report(scu, said(transaction_uid)) == 0x0000
    assert len(kept(receiver)) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        said("2.25.999"),  # nobody has asked for it
        said("../../jobs/J"),
        said("*"),
        b"\x08\x00\x95",
        data_set(5000),
    ],
    ids=["none", "unknown", "path", "pattern", "cut off", "something else"],
)
def test_an_unknown_or_malformed_transaction_is_an_invalid_argument(
    receiver: LocalReceiver, transaction_uid: str, data: bytes
) -> None:
    with receiver.associated(**REPORTING) as scu:
        assert report(scu, data) == 0x0115
        assert scu.echo() == 0
    assert kept(receiver) == []


def test_a_report_too_long_to_be_one_is_refused_and_takes_no_memory(
    receiver: LocalReceiver, transaction_uid: str
) -> None:
    with receiver.associated(**REPORTING) as scu:
        scu.command(5, EventReportRequest(7, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, 1))
        scu.data(5, said(transaction_uid), last=False)
        for _ in range(17):
            scu.data(5, bytes(1 << 20), last=False)
        scu.data(5, b"")
        response = scu.expect(MessageReceived).message
        assert getattr(response, "status", None) == 0x0213
    assert kept(receiver) == []


def test_a_storage_that_takes_no_writes_is_a_processing_failure(
    receiver: LocalReceiver, transaction_uid: str
) -> None:
    receiver.tree.reports.rmdir()
    with receiver.associated(**REPORTING) as scu:
        assert report(scu, said(transaction_uid)) == 0x0110
        receiver.tree.reports.mkdir()
        assert report(scu, said(transaction_uid)) == 0x0000


def test_nobody_can_ask_us_to_commit(receiver: LocalReceiver) -> None:
    with receiver.associated(**REPORTING) as scu:
        scu.command(5, ActionRequest(7, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, 1))
        scu.data(5, said("1.2.3"))
        response = scu.expect(MessageReceived).message
        assert isinstance(response, ActionResponse)
        assert response.status == 0x0211
        assert scu.echo() == 0


def test_a_report_outside_of_the_exporter_is_no_operation_of_ours(receiver: LocalReceiver) -> None:
    with receiver.associated() as scu:
        scu.command(1, EventReportRequest(7, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, 1))
        scu.data(1, said("1.2.3"))
        response = scu.expect(MessageReceived).message
        assert getattr(response, "status", None) == 0x0211


def test_reports_are_taken_while_the_storage_is_full_and_the_receiver_drains(
    tmp_path: Path,
) -> None:
    full = {"watermark_percent": 0.001, "watermark_release_percent": 0.001}
    with local_receiver(tmp_path, storage=full, **SETTINGS) as receiver:
        transaction_uid = Transaction(job="J", destination="PACS").begin(receiver.tree)
        receiver.server.drain()
        with receiver.associated(**REPORTING) as scu:
            assert report(scu, said(transaction_uid)) == 0x0000
