"""pynetdicom's SCU: another implementation's view of our protocol."""

from pathlib import Path
from typing import Any

import pydicom
import pytest
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.sop_class import (
    CTImageStorage,
    ModalityWorklistInformationFind,
    Verification,
)

from tests.peers.tools import stored
from tests.support.receivers import LocalReceiver, local_receiver
from tests.support.samples import data_set_of, sample_file


def associate(receiver: LocalReceiver, *sop_classes: str, called: str = "BRAIN") -> Association:
    ae = AE(ae_title="PYNETDICOM")
    ae.requested_contexts = [build_context(sop_class) for sop_class in sop_classes]
    return ae.associate("127.0.0.1", receiver.port, ae_title=called)


def test_echo_and_store(receiver: LocalReceiver) -> None:
    association = associate(receiver, CTImageStorage, Verification)
    assert association.is_established
    assert association.send_c_echo().Status == 0
    assert association.send_c_store(pydicom.dcmread(sample_file("CT_small.dcm"))).Status == 0
    association.release()
    assert association.is_released
    (folder,) = receiver.committed()
    (instance,) = receiver.delivery().instances
    stored = pydicom.dcmread(folder / instance.file)
    assert stored == pydicom.dcmread(sample_file("CT_small.dcm"))
    assert stored.file_meta.SendingApplicationEntityTitle == "PYNETDICOM"
    assert stored.file_meta.ReceivingApplicationEntityTitle == "BRAIN"
    assert stored.preamble == bytes(128)


@pytest.mark.parametrize("name", ["test-SR.dcm", "SC_rgb_jpeg_dcmd.dcm", "GDCMJ2K_TextGBR.dcm"])
def test_what_it_sends_as_it_is_is_kept_byte_for_byte(receiver: LocalReceiver, name: str) -> None:
    original = pydicom.dcmread(sample_file(name))
    ae = AE(ae_title="PYNETDICOM")
    ae.add_requested_context(original.SOPClassUID, original.file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", receiver.port, ae_title="BRAIN")
    assert association.send_c_store(original).Status == 0
    association.release()
    ((instance, path),) = stored(receiver).values()
    assert instance.transfer_syntax_uid == original.file_meta.TransferSyntaxUID
    assert data_set_of(path) == data_set_of(sample_file(name))


def test_it_is_told_who_we_are(receiver: LocalReceiver) -> None:
    association = associate(receiver, Verification)
    assert association.acceptor.implementation_class_uid == "1.3.6.1.4.1.30071.8"
    assert association.acceptor.implementation_version_name == "fo-dicom 4.0.0"
    assert association.acceptor.maximum_length == 131072
    association.release()


def test_a_worklist_context_is_refused_as_not_supported(receiver: LocalReceiver) -> None:
    association = associate(receiver, ModalityWorklistInformationFind, Verification)
    (refused,) = association.rejected_contexts
    assert refused.abstract_syntax == ModalityWorklistInformationFind
    assert refused.result == 3
    assert association.send_c_echo().Status == 0
    association.release()


@pytest.mark.parametrize("own", [["MR02"], ["PYNETDICOM@10.0.0.0/8"]])
def test_it_is_refused_where_it_is_not_allowed(tmp_path: Path, own: list[str]) -> None:
    titles = [{"title": "BRAIN", "pipeline": "keep", "allowed_calling": own}]
    # Its `is_rejected` is false now and then: one of its threads may see the close first.
    received: list[Any] = []
    ae = AE(ae_title="PYNETDICOM")
    ae.add_requested_context(CTImageStorage)
    with local_receiver(tmp_path, ae_titles=titles) as receiver:
        association = ae.associate(
            "127.0.0.1",
            receiver.port,
            ae_title="BRAIN",
            evt_handlers=[(evt.EVT_PDU_RECV, lambda event: received.append(event.pdu))],
        )
        assert not association.is_established
    (answer,) = received
    assert isinstance(answer, A_ASSOCIATE_RJ)
    assert (answer.result, answer.source, answer.reason_diagnostic) == (1, 1, 3)
