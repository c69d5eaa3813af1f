"""The SCU against pynetdicom, DCMTK and peers that misbehave."""

import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from pynetdicom import AllStoragePresentationContexts

from deploy.system import free_port
from shared.part10 import FileMeta, read_file_meta
from shared.upper_layer.c_services import StoreRequest
from shared.upper_layer.events import Aborted, MessageReceived, ReleaseRequested
from tests.support.destinations import storescp
from tests.support.samples import (
    CT,
    EXPLICIT,
    IMPLICIT,
    SECONDARY_CAPTURE,
    Sample,
    bundled_samples,
    data_set,
    data_set_of,
)
from tests.support.waiting import wait_for
from tests.workers.pacs import Pacs
from tests.workers.raw_scp import Connection, RawScp
from tests.workers.site import Given, write_instance
from workers.exports.outgoing import Outgoing, by_association
from workers.scu.association import ScuAssociation, associate
from workers.scu.contexts import VERIFICATION_CONTEXT, contexts_for
from workers.scu.errors import AssociationLostError, ConnectError, NotAcceptedError, RejectedError
from workers.scu.peer import Caller, Peer

CALLER = Caller("PENSTOCK", "1.2.3.4.5", "TESTED 1", 131072, 5, 10)
_PATIENT_STORAGE = "1.2.840.10008.5.1.4.1.1."  # what both peers take
HASTY = replace(
    CALLER, connect_timeout=0.3, association_timeout=0.3, pdu_timeout=0.3, response_timeout=0.3
)


def one_of_each_kind() -> list[Sample]:
    """A small sample for each pair of SOP class and transfer syntax that pydicom brings along."""
    kinds: dict[tuple[str, str], Sample] = {}
    uids: set[str] = set()  # some of the files are the same instance, transcoded
    for sample in sorted(bundled_samples(), key=lambda sample: len(sample.data_set)):
        kind = sample.sop_class_uid, sample.transfer_syntax_uid
        known = kind in kinds or sample.sop_instance_uid in uids
        if sample.sop_class_uid.startswith(_PATIENT_STORAGE) and not known:
            kinds[kind] = sample
            uids.add(sample.sop_instance_uid)
    return list(kinds.values())


@contextmanager
def associated(port: int, *metas: FileMeta, caller: Caller = CALLER) -> Iterator[ScuAssociation]:
    with associate(Peer("PACS", "127.0.0.1", port), caller, contexts_for(metas)) as association:
        yield association


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    path = tmp_path / "1.2.3.dcm"
    write_instance(path, Given("1.2.3", data_set(1000)))
    return path


# What arrives


def test_data_sets_of_many_transfer_syntaxes_arrive_as_they_are_in_one_association(
    pacs: Pacs,
) -> None:
    samples = one_of_each_kind()
    assert len({sample.transfer_syntax_uid for sample in samples}) >= 10
    metas = [read_file_meta(sample.path) for sample in samples]
    with associated(pacs.port, *metas) as association:
        for sample, meta in zip(samples, metas, strict=True):
            assert association.store(sample.path, meta).status == 0x0000
    assert [received[:3] for received in pacs.received] == [sample[1:4] for sample in samples]
    for received, sample in zip(pacs.received, samples, strict=True):
        assert received.data_set == sample.data_set, sample.path
    assert len(pacs.associations) == 1
    wait_for(lambda: pacs.released == 1)
    assert pacs.aborted == 0


def test_data_sets_arrive_at_storescp_as_they_are(tmp_path: Path) -> None:
    # It aborts where a data set is of an odd number of bytes, as none should be (PS3.8 E.1).
    samples = [sample for sample in one_of_each_kind() if len(sample.data_set) % 2 == 0]
    metas = [read_file_meta(sample.path) for sample in samples]
    with storescp(tmp_path, "+uf") as port, associated(port, *metas) as association:
        accepted = [
            (sample, meta)
            for sample, meta in zip(samples, metas, strict=True)
            if association.accepts(meta)
        ]
        for sample, meta in accepted:
            assert association.store(sample.path, meta).status == 0x0000, sample.path
    assert len({sample.transfer_syntax_uid for sample, _ in accepted}) >= 8
    stored = {read_file_meta(path).sop_instance_uid: path for path in tmp_path.iterdir()}
    for sample, _ in accepted:
        assert data_set_of(stored[sample.sop_instance_uid]) == sample.data_set, sample.path


def test_storescp_takes_as_many_kinds_as_one_association_can_have(tmp_path: Path) -> None:
    """At the limit of 128 contexts; what is over it is the next association's."""
    classes = [str(each.abstract_syntax) for each in AllStoragePresentationContexts[:65]]
    paths = []
    for number, (sop_class, syntax) in enumerate(product(classes, (EXPLICIT, IMPLICIT))):
        given = Given(f"1.2.{number}", sop_class=sop_class, transfer_syntax=syntax)
        paths.append(tmp_path / f"{number}.dcm")
        write_instance(paths[-1], given)
    parts = list(by_association(Outgoing(p.name, p, read_file_meta(p)) for p in paths))
    assert [len(part) for part in parts] == [128, 2]
    with storescp(tmp_path / "kept", "+uf") as port:
        for part in parts:
            with associated(port, *(file.meta for file in part)) as association:
                taken = [file for file in part if association.accepts(file.meta)]
                assert len(taken) > 0.8 * len(part)  # it knows fewer SOP classes than we
                for file in taken:
                    assert association.store(file.path, file.meta).status == 0x0000


def test_storescp_with_nagle_on_as_it_comes_does_not_hold_us_up(
    tmp_path: Path, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answers go out in two pieces, and it waits for the first one to be acknowledged."""
    monkeypatch.delenv("TCP_NODELAY", raising=False)
    meta = read_file_meta(instance)
    with storescp(tmp_path, "--ignore") as port, associated(port, meta) as association:
        begun = time.monotonic()
        for _ in range(100):
            assert association.store(instance, meta).status == 0x0000
        assert time.monotonic() - begun < 2  # 40 ms each, if it did


def test_storescp_answers_an_echo(tmp_path: Path) -> None:
    with (
        storescp(tmp_path) as port,
        associate(Peer("PACS", "127.0.0.1", port), CALLER, [VERIFICATION_CONTEXT]) as association,
    ):
        assert association.echo() == 0x0000


def test_a_context_is_proposed_for_each_pair_of_sop_class_and_transfer_syntax() -> None:
    def meta(sop_class: str, transfer_syntax: str) -> FileMeta:
        return FileMeta(sop_class, "1.2.3", transfer_syntax, 300)

    contexts = contexts_for(
        [
            meta(CT, EXPLICIT),
            meta(CT, IMPLICIT),
            meta(CT, EXPLICIT),
            meta(SECONDARY_CAPTURE, EXPLICIT),
        ]
    )
    assert [(c.id, c.abstract_syntax, c.transfer_syntaxes) for c in contexts] == [
        (1, CT, (EXPLICIT,)),
        (3, CT, (IMPLICIT,)),
        (5, SECONDARY_CAPTURE, (EXPLICIT,)),
    ]


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 100_000, (8 << 20) + 1])
def test_data_sets_of_any_size_arrive_whole(tmp_path: Path, pacs: Pacs, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    path = tmp_path / "1.2.3.dcm"
    meta = write_instance(path, Given("1.2.3", content))
    with associated(pacs.port, meta) as association:
        assert association.store(path, meta).status == 0x0000
    assert pacs.received[0].data_set == content


@pytest.mark.parametrize("sizes", [(10, (3 << 20) + 1, 0, 1 << 20), ((1 << 20) + 1, 7, 7)])
def test_files_that_are_read_ahead_arrive_whole(
    tmp_path: Path, pacs: Pacs, sizes: tuple[int, ...]
) -> None:
    contents = [bytes([number]) * size for number, size in enumerate(sizes)]
    files = [_file(tmp_path, f"1.2.{n}", content) for n, content in enumerate(contents)]
    with associated(pacs.port, files[0][1]) as association:
        for file, following in zip(files, [*files[1:], None], strict=True):
            assert association.store(*file, following).status == 0x0000
    assert [received.data_set for received in pacs.received] == contents


def test_a_file_other_than_the_announced_one_may_follow(tmp_path: Path, pacs: Pacs) -> None:
    files = [_file(tmp_path, uid, uid.encode()) for uid in ("1.2.1", "1.2.2", "1.2.3")]
    before = _descriptors()
    with associated(pacs.port, files[0][1]) as association:
        association.store(*files[0], files[1])
        association.store(*files[2], files[1])
        association.store(*files[0], files[1])
    assert pacs.uids == ["1.2.1", "1.2.3", "1.2.1"]
    assert _descriptors() <= before


def test_a_file_that_cannot_be_read_ahead_is_an_error_in_its_turn(
    tmp_path: Path, pacs: Pacs
) -> None:
    first, gone = (_file(tmp_path, uid, b"12") for uid in ("1.2.1", "1.2.2"))
    gone[0].unlink()
    with associated(pacs.port, first[1]) as association:
        assert association.store(*first, gone).status == 0x0000
        with pytest.raises(FileNotFoundError):
            association.store(*gone)
    assert pacs.uids == ["1.2.1"]


def _file(folder: Path, uid: str, content: bytes) -> tuple[Path, FileMeta]:
    path = folder / f"{uid}.dcm"
    return path, write_instance(path, Given(uid, content))


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("longest", [4096, 4097, 16382])
def test_no_pdu_is_longer_than_the_peer_takes(tmp_path: Path, longest: int) -> None:
    path = tmp_path / "1.2.3.dcm"
    write_instance(path, Given("1.2.3", data_set(100_001)))
    with Pacs(maximum_pdu_size=longest) as pacs:
        with associated(pacs.port, read_file_meta(path)) as association:
            association.store(path, read_file_meta(path))
        assert pacs.received[0].data_set == data_set_of(path)
        assert longest - 1 <= max(pacs.pdu_lengths) <= longest


@pytest.mark.parametrize("longest", [0, 8, 9, 100, 101])
def test_a_peer_may_announce_any_length(instance: Path, longest: int) -> None:
    """It counts what is longer than that as a fault; 0 is no limit."""

    def script(peer: Connection) -> None:
        peer.accept()
        request, data = peer.stored()
        assert data == data_set_of(instance)
        peer.respond(request, 0)
        peer.release()

    meta = read_file_meta(instance)
    with (
        RawScp(script, max_pdu_length=longest) as scp,
        associated(scp.port, meta) as association,
    ):
        assert association.store(instance, meta).status == 0


def test_an_instance_of_300_mb_costs_no_memory(tmp_path: Path) -> None:
    size = 300 << 20
    path = tmp_path / "1.2.3.dcm"
    meta = write_instance(path, Given("1.2.3", b""))
    with path.open("r+b") as file:
        file.truncate(meta.data_set_offset + size)
    counts: list[int] = []

    def script(peer: Connection) -> None:
        peer.accept()
        message = peer.expect(MessageReceived).message
        assert isinstance(message, StoreRequest)
        counts.append(sum(len(fragment) for fragment in peer.fragments()))
        peer.respond(message, 0)
        peer.release()

    tracemalloc.start()
    try:
        with RawScp(script) as scp, associated(scp.port, meta) as association:
            assert association.store(path, meta).status == 0x0000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert counts == [size]
    assert peak < 8 << 20


def test_the_peer_is_told_who_we_are(pacs: Pacs) -> None:
    peer = Peer("PACS", "127.0.0.1", pacs.port)
    with associate(peer, CALLER, [VERIFICATION_CONTEXT]) as association:
        assert association.echo() == 0x0000
    requestor = pacs.associations[0].requestor
    assert requestor.ae_title == "PENSTOCK"
    assert requestor.primitive.called_ae_title == "PACS"
    assert requestor.implementation_class_uid == "1.2.3.4.5"
    assert requestor.implementation_version_name == "TESTED 1"
    assert requestor.maximum_length == 131072


# What the peer answers


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xA700, 0xC123, None])
def test_the_status_of_a_response_is_read(instance: Path, status: int | None) -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        request, data = peer.stored()
        assert data == data_set_of(instance)
        peer.respond(request, status)
        peer.release()

    meta = read_file_meta(instance)
    with RawScp(script) as scp, associated(scp.port, meta) as association:
        assert association.store(instance, meta).status == status


def test_an_instance_without_an_accepted_context_is_not_sent(
    tmp_path: Path, instance: Path
) -> None:
    other = tmp_path / "1.2.4.dcm"
    write_instance(other, Given("1.2.4", sop_class=SECONDARY_CAPTURE))

    def script(peer: Connection) -> None:
        peer.accept(refused=(SECONDARY_CAPTURE,))
        request, _ = peer.stored()
        assert request.sop_instance_uid == "1.2.3"
        peer.respond(request, 0)
        peer.release()

    metas = [read_file_meta(path) for path in (other, instance)]
    with RawScp(script) as scp, associated(scp.port, *metas) as association:
        assert [association.accepts(meta) for meta in metas] == [False, True]
        with pytest.raises(NotAcceptedError, match=SECONDARY_CAPTURE):
            association.store(other, metas[0])
        assert association.store(instance, metas[1]).status == 0


def test_verification_may_be_refused_as_well() -> None:
    def script(peer: Connection) -> None:
        peer.accept(refused=(VERIFICATION_CONTEXT.abstract_syntax,))
        peer.release()

    with RawScp(script) as scp:
        peer = Peer("PACS", "127.0.0.1", scp.port)
        with (
            associate(peer, CALLER, [VERIFICATION_CONTEXT]) as association,
            pytest.raises(NotAcceptedError),
        ):
            association.echo()


@pytest.mark.parametrize("codes", [(1, 1, 7), (1, 1, 3), (2, 3, 1), (2, 3, 2)])
def test_a_rejection_is_raised_with_its_codes(codes: tuple[int, int, int]) -> None:
    def script(peer: Connection) -> None:
        peer.reject(*codes)
        assert peer.socket.recv(100) == b""  # nothing is sent after it

    with RawScp(script) as scp:
        meta = FileMeta(CT, "1.2.3", EXPLICIT, 0)
        with pytest.raises(RejectedError) as raised, associated(scp.port, meta):
            pytest.fail("there is no association")
    reject = raised.value.reject
    assert (reject.result, reject.source, reject.reason) == codes


# Associations that are lost


def abort(peer: Connection) -> None:
    peer.abort()


def close(peer: Connection) -> None:
    pass


def reset(peer: Connection) -> None:
    peer.reset()


def be_silent(peer: Connection) -> None:
    peer.be_silent()


def send_garbage(peer: Connection) -> None:
    peer.socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def ask_release(peer: Connection) -> None:
    peer.socket.sendall(bytes.fromhex("050000000004 00000000"))
    peer.drain()


def trickle(peer: Connection) -> None:
    """The PDU that is due, byte by byte, each well within any time limit of a single read."""
    pdu_type = "04" if peer.acceptor.accepted else "02"
    for byte in bytes.fromhex(f"{pdu_type}00000000ff 000000fb0101") + bytes(200):
        peer.socket.sendall(bytes([byte]))
        time.sleep(0.05)


WAYS_TO_FAIL = [abort, close, reset, be_silent, send_garbage, ask_release, trickle]
Way = Callable[[Connection], None]


def lost(way: Way) -> Way:
    """A way to fail of a peer that may see us go before it has done with it."""

    def fail(peer: Connection) -> None:
        with suppress(OSError):
            way(peer)

    return fail


@contextmanager
def soon() -> Iterator[None]:
    """Holds the block to a second or two: no wait without an end, none of seconds."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("way", WAYS_TO_FAIL)
def test_a_peer_that_fails_instead_of_accepting_is_lost_soon(way: Way) -> None:
    def script(peer: Connection) -> None:
        peer.requested()
        lost(way)(peer)

    meta = FileMeta(CT, "1.2.3", EXPLICIT, 0)
    with (
        RawScp(script) as scp,
        soon(),
        pytest.raises(AssociationLostError),
        associated(scp.port, meta, caller=HASTY),
    ):
        pytest.fail("there is no association")


@pytest.mark.parametrize("way", WAYS_TO_FAIL)
def test_a_peer_that_fails_instead_of_answering_a_store_is_lost_soon(
    instance: Path, way: Way
) -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        peer.stored()
        lost(way)(peer)

    meta = read_file_meta(instance)
    with (
        RawScp(script) as scp,
        soon(),
        pytest.raises(AssociationLostError),
        associated(scp.port, meta, caller=HASTY) as association,
    ):
        association.store(instance, meta)


@pytest.mark.parametrize("way", [abort, close, reset, be_silent])
def test_a_peer_that_fails_in_the_middle_of_a_data_set_is_lost_soon(
    tmp_path: Path, way: Way
) -> None:
    path = tmp_path / "1.2.3.dcm"
    # More than any buffer holds.
    meta = write_instance(path, Given("1.2.3", data_set(30 << 20)))

    def script(peer: Connection) -> None:
        peer.accept()
        peer.event()
        lost(way)(peer)

    with (
        RawScp(script) as scp,
        soon(),
        pytest.raises(AssociationLostError),
        associated(scp.port, meta, caller=HASTY) as association,
    ):
        association.store(path, meta)


@pytest.mark.parametrize("way", [abort, close, reset, be_silent, send_garbage])
def test_a_release_that_is_not_answered_ends_the_association_all_the_same(way: Way) -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        peer.expect(ReleaseRequested)
        lost(way)(peer)

    meta = FileMeta(CT, "1.2.3", EXPLICIT, 0)
    with (
        RawScp(script) as scp,
        soon(),
        pytest.raises(AssociationLostError),
        associated(scp.port, meta, caller=HASTY),
    ):
        pass


def test_an_answer_to_another_message_is_against_the_protocol(instance: Path) -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        request, _ = peer.stored()
        peer.respond(request, 0, to=request.message_id + 1)
        assert isinstance(peer.event(), Aborted)

    meta = read_file_meta(instance)
    with (
        RawScp(script) as scp,
        pytest.raises(AssociationLostError, match="another message"),
        associated(scp.port, meta) as association,
    ):
        association.store(instance, meta)


def test_a_maximum_pdu_length_that_leaves_no_room_is_against_the_protocol() -> None:
    def script(peer: Connection) -> None:
        peer.acceptor.max_pdu_length = 6
        peer.accept()
        peer.drain()

    meta = FileMeta(CT, "1.2.3", EXPLICIT, 0)
    with (
        RawScp(script) as scp,
        pytest.raises(AssociationLostError, match="maximum PDU length"),
        associated(scp.port, meta),
    ):
        pytest.fail("nothing could be sent")


# Connections that are not made


def test_a_port_on_which_nobody_listens_is_a_connect_error() -> None:
    port = free_port("127.0.0.1")
    meta = FileMeta(CT, "1.2.3", EXPLICIT, 0)
    with soon(), pytest.raises(ConnectError, match=str(port)), associated(port, meta):
        pytest.fail("there is no association")


def test_a_host_that_does_not_answer_is_a_connect_error_within_the_timeout() -> None:
    # A full backlog: the kernel drops what comes, as a firewall does.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        meta = FileMeta(CT, "1.2.3", EXPLICIT, 0)
        with (
            socket.create_connection(("127.0.0.1", port)),
            soon(),
            pytest.raises(ConnectError),
            associated(port, meta, caller=HASTY),
        ):
            pytest.fail("there is no association")


# How an association ends


def test_an_error_inside_the_block_aborts_the_association(instance: Path) -> None:
    ends: list[object] = []

    def script(peer: Connection) -> None:
        peer.accept()
        peer.respond(peer.stored()[0], 0)
        ends.append(peer.event())
        with pytest.raises(EOFError):
            peer.event()

    def send_and_fail(port: int) -> None:
        meta = read_file_meta(instance)
        with associated(port, meta) as association:
            association.store(instance, meta)
            raise KeyboardInterrupt

    with RawScp(script) as scp, pytest.raises(KeyboardInterrupt):
        send_and_fail(scp.port)
    assert ends == [Aborted(0, 0)]


def test_a_file_that_is_gone_aborts_the_association_before_anything_of_it_is_sent(
    pacs: Pacs, instance: Path
) -> None:
    meta = read_file_meta(instance)
    instance.unlink()
    with pytest.raises(FileNotFoundError), associated(pacs.port, meta) as association:
        association.store(instance, meta)
    wait_for(lambda: pacs.aborted == 1)
    assert pacs.received == []


def test_after_a_peer_is_lost_nothing_of_the_connection_is_left() -> None:
    meta = FileMeta(CT, "1.2.3", EXPLICIT, 0)

    def script(peer: Connection) -> None:
        peer.requested()

    before = _descriptors()
    with RawScp(script) as scp:
        for _ in range(20):
            with pytest.raises(AssociationLostError), associated(scp.port, meta):
                pytest.fail("there is no association")
        threads = threading.active_count()
    assert _descriptors() <= before + 1
    assert threading.active_count() <= threads
