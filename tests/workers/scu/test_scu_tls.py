"""TLS towards destinations: a receiver of ours, DCMTK's storescp, peers with bad certificates."""

import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.system import free_port
from shared.part10 import read_file_meta
from shared.settings.tls import DestinationTls
from tests.support.certificates import Certificate, Hospital
from tests.support.destinations import storescp
from tests.support.orthanc import orthanc
from tests.support.receivers import local_receiver
from tests.support.samples import data_set, data_set_of, sample_file
from tests.support.waiting import wait_for
from tests.workers.raw_scp import Connection, RawScp
from tests.workers.site import Given, write_instance
from workers.scu.association import associate
from workers.scu.contexts import VERIFICATION_CONTEXT, contexts_for
from workers.scu.errors import AssociationLostError, ScuError, TlsError
from workers.scu.peer import Caller, Peer

CALLER = Caller("CT01", "1.2.3.4.5", "TESTED 1", 131072, 5, 10, 10, 10)


def tls(hospital: Hospital, shown: Certificate | None = None, **values: object) -> DestinationTls:
    section: dict[str, object] = {"ca": hospital.authority.certificate}
    if shown is not None:
        section |= {"certificate": shown.certificate, "key": shown.key}
    return DestinationTls.model_validate(section | values)


def server(certificate: Certificate) -> ssl.SSLContext:
    """A peer that shows this, and wants nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


def send(port: int, secured: DestinationTls, *paths: Path, caller: Caller = CALLER) -> None:
    metas = [read_file_meta(path) for path in paths]
    peer = Peer("BRAIN", "127.0.0.1", port, secured)
    with associate(peer, caller, contexts_for(metas)) as association:
        for path, meta in zip(paths, metas, strict=True):
            assert association.store(path, meta).status == 0


def echo(port: int, secured: DestinationTls, host: str = "127.0.0.1") -> None:
    with associate(Peer("BRAIN", host, port, secured), CALLER, [VERIFICATION_CONTEXT]) as peer:
        assert peer.echo() == 0


def answers_an_echo(peer: Connection) -> None:
    peer.accept()
    peer.echo()
    peer.release()


@contextmanager
def secured_storescp(folder: Path, hospital: Hospital) -> Iterator[int]:
    """One that wants a certificate of the hospital's."""
    ours = hospital.receiver
    options = ("+tls", ours.key, ours.certificate, "+cf", hospital.authority.certificate)
    with storescp(folder, *map(str, options)) as port:
        yield port


# What arrives


def test_a_receiver_that_wants_certificates_gets_data_sets_as_they_are(
    tmp_path: Path, hospital: Hospital
) -> None:
    large = tmp_path / "1.2.4.dcm"
    write_instance(large, Given("1.2.4", data_set((3 << 20) + 1)))
    files = [sample_file("CT_small.dcm"), large]
    mutual = hospital.tls(allowed_calling={"CN=ct01": ["CT01"]})
    with local_receiver(tmp_path / "root", receiver={"tls": mutual}) as receiver:
        send(receiver.tls_address[1], tls(hospital, hospital.ct01), *files)
        (folder,) = receiver.committed()
        stored = {each.sop_instance_uid: each.file for each in receiver.delivery().instances}
        for path in files:
            found = folder / stored[read_file_meta(path).sop_instance_uid]
            assert data_set_of(found) == data_set_of(path)


def test_storescp_that_wants_certificates_gets_data_sets_as_they_are(
    tmp_path: Path, hospital: Hospital
) -> None:
    files = [sample_file(name) for name in ("MR_small.dcm", "rtplan.dcm", "CT_small.dcm")]
    with secured_storescp(tmp_path / "pacs", hospital) as port:
        send(port, tls(hospital, hospital.ct01), *files)
    stored = {read_file_meta(path).sop_instance_uid: path for path in (tmp_path / "pacs").iterdir()}
    for path in files:
        assert data_set_of(stored[read_file_meta(path).sop_instance_uid]) == data_set_of(path)


def test_orthanc_that_wants_certificates_keeps_what_is_sent(
    tmp_path: Path, hospital: Hospital
) -> None:
    port = free_port("127.0.0.1")
    secured = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(hospital.receiver.certificate),
        "DicomTlsPrivateKey": str(hospital.receiver.key),
        "DicomTlsTrustedCertificates": str(hospital.authority.certificate),
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowStore": True,
    }
    with orthanc(tmp_path / "orthanc", {}, port, **secured) as peer:
        send(port, tls(hospital, hospital.ct01), sample_file("CT_small.dcm"))
        assert len(peer.instances()) == 1
        with pytest.raises(ScuError):
            send(port, tls(hospital), sample_file("CT_small.dcm"))


def test_a_certificate_by_name_is_for_that_name_alone(hospital: Hospital) -> None:
    named = hospital.authority.issue("named", "/CN=pacs", alternative="DNS:localhost")
    with RawScp(answers_an_echo, tls=server(named)) as scp:
        echo(scp.port, tls(hospital), host="localhost")


# What each side does not like


def test_an_authority_that_is_not_known_is_named_as_what_to_set(hospital: Hospital) -> None:
    with (
        RawScp(answers_an_echo, tls=server(hospital.receiver)) as scp,
        pytest.raises(TlsError, match=r"authority that we do not trust.* tls\.ca"),
    ):
        echo(scp.port, tls(hospital, ca=hospital.other_authority.certificate))


def test_the_systems_authorities_are_asked_where_none_is_named(hospital: Hospital) -> None:
    with (
        RawScp(answers_an_echo, tls=server(hospital.receiver)) as scp,
        pytest.raises(TlsError, match="authority that we do not trust"),
    ):
        echo(scp.port, DestinationTls())


def test_a_certificate_that_has_expired_is_called_so(hospital: Hospital) -> None:
    old = hospital.authority.issue("old", "/CN=pacs", alternative="IP:127.0.0.1", days=-1)
    with (
        RawScp(answers_an_echo, tls=server(old)) as scp,
        pytest.raises(TlsError, match="its certificate has expired"),
    ):
        echo(scp.port, tls(hospital))


def test_a_certificate_for_another_host_is_good_only_if_that_is_not_checked(
    hospital: Hospital,
) -> None:
    with RawScp(answers_an_echo, tls=server(hospital.ct01)) as scp:
        with pytest.raises(TlsError, match=r"another host name.*verify_host_name = false"):
            echo(scp.port, tls(hospital))
        echo(scp.port, tls(hospital, verify_host_name=False))


def test_an_authority_is_checked_also_where_the_name_is_not(hospital: Hospital) -> None:
    with (
        RawScp(answers_an_echo, tls=server(hospital.stranger)) as scp,
        pytest.raises(TlsError, match="authority that we do not trust"),
    ):
        echo(scp.port, tls(hospital, verify_host_name=False))


def test_a_destination_that_wants_a_certificate_says_so(tmp_path: Path, hospital: Hospital) -> None:
    with (
        local_receiver(tmp_path, receiver={"tls": hospital.tls()}) as receiver,
        pytest.raises(TlsError, match=r"wants a certificate of us: set tls\.certificate"),
    ):
        echo(receiver.tls_address[1], tls(hospital))


@pytest.mark.parametrize(
    ("who", "why"), [("stranger", "it does not trust who signed it"), ("expired", "it has expired")]
)
def test_a_certificate_of_ours_that_is_not_taken_is_called_so(
    tmp_path: Path, hospital: Hospital, who: str, why: str
) -> None:
    with (
        local_receiver(tmp_path, receiver={"tls": hospital.tls()}) as receiver,
        pytest.raises(TlsError, match=f"does not take our certificate: {why}"),
    ):
        echo(receiver.tls_address[1], tls(hospital, getattr(hospital, who)))


def test_a_port_without_tls_is_called_so(hospital: Hospital) -> None:
    def refuse(peer: Connection) -> None:
        peer.socket.recv(1)
        peer.socket.sendall(b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x01")

    with RawScp(refuse) as scp, pytest.raises(TlsError, match="does not speak TLS on this port"):
        echo(scp.port, tls(hospital))


def test_only_suites_of_the_profile_are_spoken(hospital: Hospital) -> None:
    old = server(hospital.receiver)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("AES128-SHA256:ECDHE-ECDSA-AES128-SHA256")
    with RawScp(answers_an_echo, tls=old) as scp, pytest.raises(TlsError, match="no cipher suite"):
        echo(scp.port, tls(hospital))


# Files and deadlines


@pytest.mark.parametrize("field", ["ca", "certificate", "key"])
def test_a_file_that_is_missing_is_named_and_nobody_is_called(
    tmp_path: Path, hospital: Hospital, field: str
) -> None:
    missing = tmp_path / "missing.pem"
    section = tls(hospital, hospital.ct01).model_copy(update={field: missing})
    with (
        RawScp(answers_an_echo) as scp,
        pytest.raises(TlsError, match=f"tls.{field}: {missing}: No such file"),
    ):
        echo(scp.port, section)
    assert scp.connections == 0


def test_files_that_are_replaced_count_from_the_next_association_on(
    tmp_path: Path, hospital: Hospital
) -> None:
    mine = tmp_path / "ca.crt"
    shutil.copy(hospital.other_authority.certificate, mine)
    with RawScp(answers_an_echo, tls=server(hospital.receiver)) as scp:
        with pytest.raises(TlsError):
            echo(scp.port, tls(hospital, ca=mine))
        shutil.copy(hospital.authority.certificate, mine)
        echo(scp.port, tls(hospital, ca=mine))


def test_a_peer_that_never_shakes_hands_is_lost_at_the_deadline_of_an_association(
    hospital: Hospital,
) -> None:
    hasty = replace(CALLER, association_timeout=0.3)
    begun = time.monotonic()
    with RawScp(lambda peer: peer.be_silent()) as scp:
        peer = Peer("BRAIN", "127.0.0.1", scp.port, tls(hospital))
        with (
            pytest.raises(TlsError, match="timed out"),
            associate(peer, hasty, [VERIFICATION_CONTEXT]),
        ):
            pytest.fail("there is no association")
    assert time.monotonic() - begun < 3


def test_a_peer_that_takes_nothing_more_is_lost_at_the_deadline_of_a_pdu(
    tmp_path: Path, hospital: Hospital
) -> None:
    large = tmp_path / "1.2.4.dcm"
    write_instance(large, Given("1.2.4", data_set(30 << 20)))
    lost = threading.Event()

    def script(peer: Connection) -> None:
        peer.accept()
        lost.wait(15)

    with RawScp(script, tls=server(hospital.receiver)) as scp:
        with pytest.raises(AssociationLostError, match="sending failed: timed out"):
            send(scp.port, tls(hospital), large, caller=replace(CALLER, pdu_timeout=0.3))
        lost.set()


def test_a_handshake_that_fails_leaves_no_connection(hospital: Hospital) -> None:
    ended: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(4096)
                sock.sendall(b"no")
                while data := sock.recv(4096):
                    ended.append(data)
                ended.append(b"")

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        hasty = replace(CALLER, association_timeout=0.3)
        peer = Peer("BRAIN", "127.0.0.1", listener.getsockname()[1], tls(hospital))
        with pytest.raises(TlsError), associate(peer, hasty, [VERIFICATION_CONTEXT]):
            pytest.fail("there is no association")
        wait_for(lambda: ended[-1:] == [b""])
        thread.join()
