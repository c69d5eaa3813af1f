"""Behind a load balancer that speaks the PROXY protocol."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from receiver.opening import is_proxy
from shared.settings.receiving import Receiver
from tests.support.proxy import local, tcp4, tcp6
from tests.support.receivers import LocalReceiver, local_receiver
from tests.support.scu import Scu
from tests.support.trickle import trickle
from tests.support.waiting import wait_for

BEHIND = {"proxy_from": ["127.0.0.0/24"]}
ONLY_CT01 = [
    {
        "title": "BRAIN",
        "pipeline": "keep",
        "allowed_calling": ["CT01@10.1.2.0/24", "CT01@2001:db8::/32"],
    }
]


def through_proxy(receiver: LocalReceiver, header: bytes) -> Scu:
    scu = receiver.scu()
    scu.socket.sendall(header)
    return scu


@pytest.mark.parametrize(
    ("address", "expected"),
    [("10.1.2.3", True), ("10.2.0.1", False), ("2001:db8::1", True), ("192.168.0.9", True)],
)
def test_which_connections_begin_with_a_header(address: str, expected: bool) -> None:
    assert is_proxy(address, ["10.1.0.0/16", "2001:db8::/32", "192.168.0.9"]) is expected


def test_a_list_of_proxies_holds_networks() -> None:
    with pytest.raises(ValidationError, match="a network is"):
        Receiver(proxy_from=("lb.example",))


@pytest.mark.parametrize("header", [tcp4("10.1.2.3"), tcp6("2001:db8::7"), tcp6("::ffff:10.1.2.3")])
def test_callers_are_judged_by_the_address_in_the_header(tmp_path: Path, header: bytes) -> None:
    with local_receiver(tmp_path, receiver=BEHIND, ae_titles=ONLY_CT01) as receiver:
        with through_proxy(receiver, header) as scu:
            scu.associate()
            scu.release()
        assert through_proxy(receiver, tcp4("10.9.9.9")).rejection() == (1, 1, 3)


def test_the_record_names_the_peer_and_not_the_proxy(tmp_path: Path) -> None:
    with local_receiver(tmp_path, receiver=BEHIND) as receiver:
        scu = through_proxy(receiver, tcp4("10.1.2.3", tlvs=b"\x04\x00\x03abc"))
        scu.associate()
        scu.store("1.2.3", bytes(100))
        scu.release()
        assert receiver.delivery().peer_address == "10.1.2.3"


def test_the_header_and_the_request_may_come_in_any_pieces(tmp_path: Path) -> None:
    with local_receiver(tmp_path, receiver=BEHIND) as receiver, receiver.scu() as scu:
        for byte in tcp4("10.1.2.3"):
            scu.socket.sendall(bytes([byte]))
        scu.associate()
        assert scu.echo() == 0
        scu.release()


def test_the_proxys_own_connection_keeps_its_own_address(tmp_path: Path) -> None:
    with local_receiver(tmp_path, receiver=BEHIND, ae_titles=ONLY_CT01) as receiver:
        assert through_proxy(receiver, local()).rejection() == (1, 1, 3)


def test_connections_from_elsewhere_are_served_as_they_are(tmp_path: Path) -> None:
    with local_receiver(tmp_path, receiver=BEHIND) as receiver:
        with Scu(receiver.address, source="127.0.1.1") as scu:
            scu.associate()
            assert scu.echo() == 0
            scu.release()
        with Scu(receiver.address, source="127.0.1.1") as liar:
            liar.socket.sendall(tcp4("10.1.2.3"))
            assert liar.rest()[:1] == b"\x07", "to it, that is no PDU"


@pytest.mark.parametrize(
    "bad", [b"\x01\x00\x00\x00\x00\x50" + bytes(80), tcp4("10.1.2.3")[:12] + b"\x21\x11\xff\xff"]
)
def test_a_proxy_without_a_good_header_is_closed_without_a_word(tmp_path: Path, bad: bytes) -> None:
    with local_receiver(tmp_path, receiver=BEHIND) as receiver:
        with through_proxy(receiver, bad) as scu:
            assert scu.rest() == b""
        with through_proxy(receiver, tcp4("10.1.2.3")) as scu:
            scu.associate()
            scu.release()
        wait_for(lambda: not receiver.server.connections())


@pytest.mark.parametrize("sent", [b"", tcp4("10.1.2.3")[:20]])
def test_a_header_is_waited_for_no_longer_than_artim(tmp_path: Path, sent: bytes) -> None:
    limits: dict[str, Any] = BEHIND | {"artim_timeout": "300ms"}
    with local_receiver(tmp_path, receiver=limits) as receiver:
        with through_proxy(receiver, sent) as scu:
            assert scu.rest() == b""
        wait_for(lambda: not receiver.server.connections())


def test_a_header_that_trickles_in_is_not_waited_for(tmp_path: Path) -> None:
    limits: dict[str, Any] = BEHIND | {"artim_timeout": "500ms"}
    with local_receiver(tmp_path, receiver=limits) as receiver, receiver.scu() as scu:
        assert trickle(scu.socket, tcp4("10.1.2.3", tlvs=bytes(400))) < 3


def test_the_bound_for_one_address_counts_the_peers_and_not_the_proxys(tmp_path: Path) -> None:
    limits: dict[str, Any] = BEHIND | {"max_connections_per_address": 1}
    with (
        local_receiver(tmp_path, receiver=limits) as receiver,
        through_proxy(receiver, tcp4("10.1.2.3")) as first,
        through_proxy(receiver, tcp4("10.1.2.4")) as second,
    ):
        first.associate()
        second.associate()
        with through_proxy(receiver, tcp4("10.1.2.3")) as third:
            assert third.rest() == b""
        assert first.echo() == second.echo() == 0
