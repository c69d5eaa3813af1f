"""TLS with DCMTK and pynetdicom at the other end."""

from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification

from tests.peers.tools import run
from tests.support.certificates import Certificate, Hospital
from tests.support.receivers import LocalReceiver, local_receiver
from tests.support.samples import sample_file

BY_CERTIFICATE = {"CN=ct01": ["DCMTK", "PYNETDICOM"]}


@pytest.fixture
def secured(hospital: Hospital, tmp_path: Path) -> Iterator[LocalReceiver]:
    tls = hospital.tls(allowed_calling=BY_CERTIFICATE)
    with local_receiver(tmp_path, receiver={"tls": tls}) as running:
        yield running


def call(receiver: LocalReceiver, calling: str = "DCMTK") -> tuple[str, ...]:
    return ("-aet", calling, "-aec", "BRAIN", "127.0.0.1", str(receiver.tls_address[1]))


def showing(certificate: Certificate, hospital: Hospital) -> tuple[object, ...]:
    trusted = hospital.authority.certificate
    return ("+tls", certificate.key, certificate.certificate, "+cf", trusted)


# Their profiles of PS3.15 B.9, B.10 and B.11; each has suites in common with B.12.
@pytest.mark.parametrize("profile", ["+px", "+py", "+pz"])
def test_echoscu_of_each_bcp_195_profile_is_answered(
    secured: LocalReceiver, hospital: Hospital, profile: str
) -> None:
    done = run("echoscu", *showing(hospital.ct01, hospital), profile, *call(secured))
    assert done.returncode == 0, done.stderr


def test_storescu_delivers(secured: LocalReceiver, hospital: Hospital) -> None:
    file = sample_file("CT_small.dcm")
    sent = run("storescu", *showing(hospital.ct01, hospital), *call(secured), file)
    assert sent.returncode == 0, sent.stderr
    (folder,) = secured.committed()
    (instance,) = secured.delivery().instances
    original = pydicom.dcmread(file)
    del original.DataSetTrailingPadding  # which storescu does not send
    assert pydicom.dcmread(folder / instance.file) == original


@pytest.mark.parametrize("who", ["stranger", "expired"])
def test_storescu_with_a_bad_certificate_delivers_nothing(
    secured: LocalReceiver, hospital: Hospital, who: str
) -> None:
    file = sample_file("CT_small.dcm")
    sent = run("storescu", *showing(getattr(hospital, who), hospital), *call(secured), file)
    assert sent.returncode != 0
    assert secured.committed() == []


def test_echoscu_without_a_certificate_is_answered_where_none_is_asked_for(
    secured: LocalReceiver, hospital: Hospital, tmp_path: Path
) -> None:
    anonymous = ("+tla", "+cf", hospital.authority.certificate)
    assert run("echoscu", *anonymous, *call(secured)).returncode != 0
    anybody = {"tls": hospital.tls(mutual=False)}
    with local_receiver(tmp_path / "other", receiver=anybody) as receiver:
        assert run("echoscu", *anonymous, *call(receiver)).returncode == 0


def test_echoscu_without_tls_gets_nowhere(secured: LocalReceiver) -> None:
    assert run("echoscu", *call(secured)).returncode != 0


def test_echoscu_learns_that_the_title_is_not_that_of_its_certificate(
    secured: LocalReceiver, hospital: Hospital
) -> None:
    refused = run("echoscu", *showing(hospital.ct01, hospital), *call(secured, calling="MR02"))
    assert "Calling AE Title Not Recognized" in refused.stderr


@pytest.mark.parametrize(
    ("who", "established"), [("ct01", True), ("stranger", False), (None, False)]
)
def test_pynetdicom_gets_in_with_its_certificate(
    secured: LocalReceiver, hospital: Hospital, who: str | None, established: bool
) -> None:
    certificate = None if who is None else getattr(hospital, who)
    ae = AE(ae_title="PYNETDICOM")
    ae.add_requested_context(CTImageStorage)
    ae.add_requested_context(Verification)
    association = ae.associate(
        *secured.tls_address,
        ae_title="BRAIN",
        tls_args=(hospital.client(certificate), "127.0.0.1"),
    )
    assert association.is_established is established
    if established:
        assert association.send_c_echo().Status == 0
        file = pydicom.dcmread(sample_file("CT_small.dcm"))
        assert association.send_c_store(file).Status == 0
        association.release()
        assert len(secured.delivery().instances) == 1
