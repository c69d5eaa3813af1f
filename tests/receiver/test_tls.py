"""TLS as peers meet it: whom it lets in, whom not, and that nobody waits for another."""

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.upper_layer.c_services import EchoRequest
from shared.upper_layer.events import Aborted, AssociateAccepted
from tests.support.certificates import Hospital
from tests.support.proxy import tcp4
from tests.support.receivers import LocalReceiver, local_receiver, receiver_process
from tests.support.samples import data_set, data_set_of
from tests.support.scu import Scu
from tests.support.trickle import trickle
from tests.support.waiting import wait_for

BY_CERTIFICATE = {
    "CN=ct01": ["CT01", "CT01B"],
    "CN=mr02,O=Hospital,C=DE": ["MR02"],
}


@pytest.fixture
def secured(hospital: Hospital, tmp_path: Path) -> Iterator[LocalReceiver]:
    with local_receiver(tmp_path, receiver={"tls": hospital.tls()}) as running:
        yield running


def tls_port(log: str) -> int:
    found = re.search(r"tls_port=(\d+)", log)
    return int(found[1]) if found else 0


def is_refused(receiver: LocalReceiver, context: ssl.SSLContext) -> bool:
    """Whether the handshake fails; with TLS 1.3 a client learns it with the first answer."""
    try:
        with Scu(receiver.tls_address, tls=context) as scu:
            scu.associate()
            return False
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
        return True


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_study_comes_through_whole(
    secured: LocalReceiver, hospital: Hospital, version: ssl.TLSVersion
) -> None:
    context = hospital.client(hospital.ct01)
    context.minimum_version = context.maximum_version = version
    contents = [data_set(size, fill) for fill, size in enumerate((100, 70_000, 3_000_000))]
    with Scu(secured.tls_address, tls=context) as scu:
        scu.associate()
        assert scu.echo() == 0
        for number, content in enumerate(contents):
            assert scu.store(f"1.2.{number}", content).status == 0
        scu.release()
    (folder,) = secured.committed()
    stored = [data_set_of(folder / f"1.2.{number}.dcm") for number in range(3)]
    assert stored == contents


def test_the_plain_port_is_served_beside_it(secured: LocalReceiver) -> None:
    with secured.associated() as scu:
        assert scu.echo() == 0
        scu.release()


def test_the_plain_port_can_be_off(hospital: Hospital, tmp_path: Path) -> None:
    only_tls = {"plain": False, "tls": hospital.tls(mutual=False)}
    with local_receiver(tmp_path, receiver=only_tls) as receiver:
        assert receiver.address == receiver.tls_address
        with Scu(receiver.tls_address, tls=hospital.client()) as scu:
            scu.associate()
            scu.release()


def test_whose_certificate_is_not_of_the_authority_is_refused(
    secured: LocalReceiver, hospital: Hospital
) -> None:
    assert is_refused(secured, hospital.client(hospital.stranger))


def test_whose_certificate_has_expired_is_refused(
    secured: LocalReceiver, hospital: Hospital
) -> None:
    assert is_refused(secured, hospital.client(hospital.expired))


def test_who_shows_no_certificate_is_refused_unless_none_is_asked_for(
    secured: LocalReceiver, hospital: Hospital, tmp_path: Path
) -> None:
    assert is_refused(secured, hospital.client())
    anybody = {"tls": hospital.tls(mutual=False)}
    with local_receiver(tmp_path / "other", receiver=anybody) as receiver:
        assert not is_refused(receiver, hospital.client())


def test_a_peer_that_does_not_trust_our_certificate_disturbs_nobody(
    secured: LocalReceiver, hospital: Hospital
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        Scu(secured.tls_address, tls=ssl.create_default_context())
    assert not is_refused(secured, hospital.client(hospital.ct01))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_older_versions_are_refused(
    secured: LocalReceiver, hospital: Hospital, version: ssl.TLSVersion
) -> None:
    context = hospital.client(hospital.ct01)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        Scu(secured.tls_address, tls=context)


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA"])
def test_suites_without_authenticated_encryption_are_refused(
    secured: LocalReceiver, hospital: Hospital, suite: str
) -> None:
    context = hospital.client(hospital.ct01)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
        Scu(secured.tls_address, tls=context)


def test_plain_text_on_the_tls_port_is_closed_and_the_other_way_round(
    secured: LocalReceiver, hospital: Hospital
) -> None:
    with Scu(secured.tls_address) as plain, contextlib.suppress(EOFError, ConnectionResetError):
        plain.request()
        pytest.fail("it was answered")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        Scu(secured.address, tls=hospital.client(hospital.ct01))
    assert not is_refused(secured, hospital.client(hospital.ct01))
    wait_for(lambda: not secured.server.connections())


def test_silent_clients_hold_up_nobody_and_are_ended_at_artim(
    hospital: Hospital, tmp_path: Path
) -> None:
    limits = {"tls": hospital.tls(), "artim_timeout": "2s", "max_associations": 1}
    with (
        local_receiver(tmp_path, receiver=limits) as receiver,
        contextlib.ExitStack() as silent,
    ):
        idle = [silent.enter_context(Scu(receiver.tls_address)) for _ in range(20)]
        with Scu(receiver.tls_address, tls=hospital.client(hospital.ct01)) as scu:
            scu.associate()
            assert len(receiver.server.connections()) == 21, "the others are still silent"
            scu.release()
        assert all(scu.rest() == b"" for scu in idle)
        wait_for(lambda: not receiver.server.connections())


def test_a_handshake_that_trickles_in_is_not_waited_for(hospital: Hospital, tmp_path: Path) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = hospital.client().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    limits = {"tls": hospital.tls(), "artim_timeout": "500ms"}
    with local_receiver(tmp_path, receiver=limits) as receiver, Scu(receiver.tls_address) as scu:
        assert trickle(scu.socket, outgoing.read()) < 3
        wait_for(lambda: not receiver.server.connections())


def test_a_silent_association_is_aborted_in_words_over_tls(
    hospital: Hospital, tmp_path: Path
) -> None:
    limits = {"tls": hospital.tls(), "idle_timeout": "300ms"}
    with local_receiver(tmp_path, receiver=limits) as receiver:
        with Scu(receiver.tls_address, tls=hospital.client(hospital.ct01)) as scu:
            scu.associate()
            scu.store("1.2.3", data_set(100))
            event = scu.expect(Aborted)
            assert (event.source, event.reason) == (2, 0)
            assert scu.rest() == b""
        wait_for(receiver.aborted)
        assert receiver.aborted_delivery().reason == "no traffic"


def test_a_rejection_is_read_before_the_end(secured: LocalReceiver, hospital: Hospital) -> None:
    for _ in range(20):
        with Scu(secured.tls_address, tls=hospital.client(hospital.ct01)) as scu:
            assert scu.rejection(called="WHO") == (1, 1, 7)


def test_an_end_of_tcp_without_one_of_tls_rolls_back(
    secured: LocalReceiver, hospital: Hospital
) -> None:
    scu = Scu(secured.tls_address, tls=hospital.client(hospital.ct01))
    scu.associate()
    scu.store("1.2.3", data_set(100))
    scu.close()
    wait_for(secured.aborted)
    assert secured.aborted_delivery().reason == "closed by the peer"


def test_a_peer_that_reads_nothing_is_given_up(hospital: Hospital, tmp_path: Path) -> None:
    limits = {"tls": hospital.tls(), "pdu_timeout": "500ms"}
    with local_receiver(tmp_path, receiver=limits) as receiver:
        scu = Scu(receiver.tls_address, tls=hospital.client(hospital.ct01))
        scu.associate()
        scu.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        flood = scu.requestor.send_command(3, EchoRequest(7)) * 2000
        with contextlib.suppress(OSError), scu:
            while True:
                scu.socket.sendall(flood)
        wait_for(lambda: not receiver.server.connections())


def test_stopping_wakes_who_waits_for_a_peer(hospital: Hospital, tmp_path: Path) -> None:
    with local_receiver(tmp_path, receiver={"tls": hospital.tls()}) as receiver:
        scu = Scu(receiver.tls_address, tls=hospital.client(hospital.ct01))
        scu.associate()
        silent = Scu(receiver.tls_address)
        wait_for(lambda: len(receiver.server.connections()) == 2)
        began = time.monotonic()
    assert time.monotonic() - began < 4
    assert scu.aborted() == (2, 0)
    silent.close()


@pytest.mark.parametrize(
    ("who", "calling", "answer"),
    [
        ("ct01", "CT01", None),
        ("ct01", "CT01B", None),
        ("mr02", "MR02", None),
        ("ct01", "MR02", (1, 1, 3)),
        ("mr02", "CT01", (1, 1, 3)),
        ("receiver", "CT01", (1, 1, 3)),
    ],
)
def test_a_certificate_may_use_its_own_titles_only(
    hospital: Hospital, tmp_path: Path, who: str, calling: str, answer: tuple[int, int, int] | None
) -> None:
    tls = hospital.tls(allowed_calling=BY_CERTIFICATE)
    with local_receiver(tmp_path, receiver={"tls": tls}) as receiver:
        context = hospital.client(getattr(hospital, who))
        with Scu(receiver.tls_address, tls=context) as scu:
            if answer is None:
                scu.associate(calling=calling)
                scu.release()
            else:
                assert scu.rejection(calling=calling) == answer


def test_certificates_read_again_count_from_the_next_handshake(
    hospital: Hospital, tmp_path: Path
) -> None:
    with local_receiver(tmp_path, receiver={"tls": hospital.tls()}) as receiver:
        certificates = receiver.services.certificates
        assert certificates is not None
        context = hospital.client(hospital.ct01)
        with Scu(receiver.tls_address, tls=context) as open_scu:
            open_scu.associate()
            tls: Any = receiver.services.settings.receiver.tls
            other = tls.model_copy(update={"client_ca": hospital.other_authority.certificate})
            certificates.reload(other)
            assert is_refused(receiver, context)
            assert not is_refused(receiver, hospital.client(hospital.stranger))
            assert open_scu.echo() == 0
            open_scu.release()


def test_certificates_are_read_again_with_the_settings_and_bad_ones_refuse_them_all(
    hospital: Hospital, tmp_path: Path
) -> None:
    brain, heart = {"title": "BRAIN", "pipeline": "keep"}, {"title": "HEART", "pipeline": "keep"}
    with receiver_process(tmp_path, receiver={"tls": hospital.tls()}) as receiver:
        (port,) = wait_for(lambda: re.findall(r"tls_port[=\": ]+(\d+)", receiver.log()))
        address = ("127.0.0.1", int(port))

        def admits(context: ssl.SSLContext, called: str = "BRAIN") -> bool:
            try:
                with Scu(address, tls=context) as scu:
                    return isinstance(scu.request(called=called), AssociateAccepted)
            except (OSError, EOFError):
                return False

        ours, theirs = hospital.client(hospital.ct01), hospital.client(hospital.stranger)
        assert admits(ours)
        bad = hospital.tls(key=str(hospital.mr02.key))
        receiver.configure(receiver={"tls": bad}, ae_titles=[brain, heart])
        receiver.hang_up()
        wait_for(lambda: "not the key of the certificate" in receiver.log())
        assert not admits(ours, "HEART")
        other = hospital.tls(client_ca=str(hospital.other_authority.certificate))
        receiver.configure(receiver={"tls": other}, ae_titles=[brain, heart])
        receiver.hang_up()
        wait_for(lambda: admits(theirs, "HEART"))
        assert not admits(ours)


def test_behind_a_proxy_its_header_comes_before_the_handshake(
    hospital: Hospital, tmp_path: Path
) -> None:
    section = {"tls": hospital.tls(), "proxy_from": ["127.0.0.1"]}
    with local_receiver(tmp_path, receiver=section) as receiver:
        context = hospital.client(hospital.ct01)
        with Scu(receiver.tls_address, tls=context, preface=tcp4("10.1.2.3")) as scu:
            scu.associate()
            scu.store("1.2.3", data_set(100))
            scu.release()
        assert receiver.delivery().peer_address == "10.1.2.3"


def test_refusals_are_in_the_log_and_probes_are_not(hospital: Hospital, tmp_path: Path) -> None:
    section = {"tls": hospital.tls(port=0)}
    with receiver_process(tmp_path, receiver=section) as receiver:
        address = ("127.0.0.1", wait_for(lambda: tls_port(receiver.log())))
        for _ in range(10):
            socket.create_connection(address).close()
        with contextlib.suppress(ssl.SSLError, OSError):
            Scu(address, tls=hospital.client(hospital.expired)).associate()
        wait_for(lambda: "certificate has expired" in receiver.log())
        assert receiver.log().count("warning") == 1
        with Scu(address, tls=hospital.client(hospital.ct01)) as scu:
            scu.associate()
            assert scu.store("1.2.3", data_set(1_000_000)).status == 0
            scu.release()
        assert len(receiver.delivery().instances) == 1
