"""How long the SCU waits for whom, and what it does not use again."""

import os
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from shared.part10 import read_file_meta
from shared.settings import Settings
from shared.upper_layer.c_services import StoreRequest
from shared.upper_layer.events import Aborted, AssociateRequested, MessageReceived
from tests.support.samples import data_set
from tests.workers.raw_scp import Connection, RawScp
from tests.workers.site import Given, write_instance
from workers.scu.association import associate
from workers.scu.content import ShortenedError
from workers.scu.contexts import contexts_for
from workers.scu.errors import AssociationLostError
from workers.scu.peer import Caller, Peer

MB = 1 << 20
CALLER = Caller("PENSTOCK", "1.2.3.4.5", "TESTED 1", 131072, 5, 10, 10, 10)


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    path = tmp_path / "1.2.3.dcm"
    write_instance(path, Given("1.2.3", data_set(1000)))
    return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """More than the buffers of any system hold."""
    path = tmp_path / "1.2.4.dcm"
    write_instance(path, Given("1.2.4", data_set(30 * MB)))
    return path


def send(port: int, *paths: Path, caller: Caller = CALLER) -> list[int | None]:
    """The statuses of the answers."""
    metas = [read_file_meta(path) for path in paths]
    peer = Peer("PACS", "127.0.0.1", port)
    with associate(peer, caller, contexts_for(metas)) as association:
        return [
            association.store(path, meta).status for path, meta in zip(paths, metas, strict=True)
        ]


def test_the_deadlines_are_the_exporters_where_the_destination_says_nothing() -> None:
    settings = Settings(
        exporter={"connect_timeout": "1s", "pdu_timeout": "2s"},
        destinations={
            "PACS": {
                "ae_title": "PACS",
                "host": "pacs.example",
                "port": 104,
                "pdu_timeout": "5m",
                "association_timeout": "3s",
            }
        },
    )
    everybody = Caller.of(settings)
    assert (everybody.connect_timeout, everybody.association_timeout) == (1, 30)
    assert (everybody.pdu_timeout, everybody.response_timeout) == (2, 60)
    pacs = Caller.of(settings, settings.destinations["PACS"])
    assert (pacs.connect_timeout, pacs.association_timeout) == (1, 3)
    assert (pacs.pdu_timeout, pacs.response_timeout) == (300, 60)


def test_a_peer_that_takes_bytes_one_by_one_is_lost_at_the_deadline_of_a_pdu(large: Path) -> None:
    lost = threading.Event()

    def script(peer: Connection) -> None:
        peer.accept()
        while not lost.wait(0.05):
            peer.socket.recv(1)

    begun = time.monotonic()
    with RawScp(script) as scp:
        with pytest.raises(AssociationLostError, match="sending failed: timed out"):
            send(scp.port, large, caller=replace(CALLER, pdu_timeout=0.3))
        lost.set()
    assert time.monotonic() - begun < 3


def test_a_slow_peer_is_waited_for_as_long_as_it_takes_a_pdu_in_time(tmp_path: Path) -> None:
    path = tmp_path / "1.2.5.dcm"
    write_instance(path, Given("1.2.5", data_set(12 * MB)))

    def script(peer: Connection) -> None:
        peer.accept()
        message = peer.expect(MessageReceived).message
        assert isinstance(message, StoreRequest)
        for number, _ in enumerate(peer.fragments()):
            if number % 100 == 0:  # each time about 1.6 MB
                time.sleep(0.5)
        peer.respond(message, 0)
        peer.release()

    begun = time.monotonic()
    with RawScp(script) as scp:
        assert send(scp.port, path, caller=replace(CALLER, pdu_timeout=2)) == [0]
    assert time.monotonic() - begun > 2


def test_an_association_may_take_longer_than_an_answer(instance: Path) -> None:
    def script(peer: Connection) -> None:
        request = peer.requested()
        time.sleep(0.5)
        peer._events.insert(0, AssociateRequested(request))
        peer.accept()
        peer.respond(peer.stored()[0], 0)
        peer.release()

    with RawScp(script) as scp:
        assert send(scp.port, instance, caller=replace(CALLER, response_timeout=0.3)) == [0]


def test_an_answer_may_take_longer_than_an_association(instance: Path) -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        request, _ = peer.stored()
        time.sleep(0.5)
        peer.respond(request, 0)
        peer.release()

    with RawScp(script) as scp:
        caller = replace(CALLER, association_timeout=0.3, pdu_timeout=0.3)
        assert send(scp.port, instance, caller=caller) == [0]


def test_a_peer_that_aborts_in_the_middle_of_a_data_set_is_quoted(large: Path) -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        peer.event()
        peer.abort(2, 6)
        with suppress(OSError):
            peer.drain()

    with RawScp(script) as scp, pytest.raises(AssociationLostError, match="aborted by the service"):
        send(scp.port, large)


def test_after_a_missing_answer_nothing_more_is_sent(instance: Path) -> None:
    ends: list[object] = []

    def script(peer: Connection) -> None:
        peer.accept()
        peer.stored()
        ends.append(peer.event())

    meta = read_file_meta(instance)
    with RawScp(script) as scp:
        peer = Peer("PACS", "127.0.0.1", scp.port)
        hasty = replace(CALLER, response_timeout=0.2)
        with (  # noqa: PT012 - what follows is what must not work
            pytest.raises(AssociationLostError, match="not answered"),
            associate(peer, hasty, contexts_for([meta])) as association,
        ):
            for reason in ("timed out", "not answered"):
                with pytest.raises(AssociationLostError, match=reason):
                    association.store(instance, meta)
    assert ends == [Aborted(0, 0)]


def test_after_half_an_instance_nothing_more_is_sent(instance: Path, large: Path) -> None:
    """A file that somebody cuts off while it is sent."""
    cut = threading.Event()

    def script(peer: Connection) -> None:
        peer.accept()
        peer.event()
        os.truncate(large, 20 * MB)
        cut.set()
        with suppress(OSError, EOFError):
            while True:
                seen.append(peer.event())

    seen: list[object] = []
    metas = [read_file_meta(path) for path in (instance, large)]
    with RawScp(script) as scp:
        peer = Peer("PACS", "127.0.0.1", scp.port)
        with (  # noqa: PT012 - what follows is what must not work
            pytest.raises(AssociationLostError, match="not sent whole"),
            associate(peer, CALLER, contexts_for(metas)) as association,
        ):
            with pytest.raises(ShortenedError):
                association.store(large, metas[1])
            association.store(instance, metas[0])
        assert cut.is_set()
    assert isinstance(seen[-1], Aborted)
    assert not any(isinstance(event, MessageReceived) for event in seen)


@pytest.mark.parametrize("how", ["gone", "cut off before its data set"])
def test_a_file_that_cannot_be_read_leaves_the_association_as_it_was(
    tmp_path: Path, instance: Path, how: str
) -> None:
    other = tmp_path / "1.2.6.dcm"
    write_instance(other, Given("1.2.6"))
    gone = read_file_meta(other)
    if how == "gone":
        other.unlink()
    else:
        os.truncate(other, gone.data_set_offset - 1)

    def script(peer: Connection) -> None:
        peer.accept()
        request, _ = peer.stored()
        assert request.sop_instance_uid == "1.2.3"
        peer.respond(request, 0)
        peer.release()

    meta = read_file_meta(instance)
    with RawScp(script) as scp:
        peer = Peer("PACS", "127.0.0.1", scp.port)
        with associate(peer, CALLER, contexts_for([meta, gone])) as association:
            with pytest.raises(OSError, match=r"No such file|shorter"):
                association.store(other, gone)
            assert association.store(instance, meta).status == 0
