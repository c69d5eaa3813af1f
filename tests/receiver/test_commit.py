import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shared import durable
from shared.upper_layer.events import ReleaseConfirmed
from shared.upper_layer.pdu import ReleaseRequest
from tests.support.receivers import LocalReceiver, local_receiver
from tests.support.samples import data_set
from tests.support.scu import Scu
from tests.support.waiting import wait_for


def begin_instance(scu: Scu) -> None:
    """One whole instance, and a part of another."""
    assert scu.store("1.2.3", data_set(1000)).status == 0
    scu.command(1, scu.store_request("1.2.4"))
    scu.data(1, data_set(100_000)[:60_000], last=False)


def test_when_the_release_response_comes_the_delivery_is_committed(
    receiver: LocalReceiver,
) -> None:
    with receiver.associated() as scu:
        for number in range(20):
            assert scu.store(f"1.2.{number}", data_set(50_000)).status == 0
        assert receiver.committed() == []
        scu.ask_release()
        scu.expect(ReleaseConfirmed)
        assert len(receiver.delivery().instances) == 20
        assert receiver.incoming() == []


def test_a_release_with_nothing_kept_commits_nothing(receiver: LocalReceiver) -> None:
    with receiver.associated() as scu:
        assert scu.echo() == 0
        scu.release()
    assert receiver.committed() == receiver.aborted() == receiver.incoming() == []


@pytest.mark.parametrize("end", [Scu.abort, Scu.reset, Scu.close])
def test_an_abort_a_reset_or_a_close_within_an_instance_rolls_back(
    receiver: LocalReceiver, end: Callable[[Scu], None]
) -> None:
    scu = receiver.associated()
    begin_instance(scu)
    end(scu)
    (folder,) = wait_for(receiver.aborted)
    assert receiver.committed() == receiver.incoming() == []
    assert not list(folder.glob("*.part"))
    delivery = receiver.aborted_delivery()
    assert delivery.end == "aborted"
    assert delivery.reason
    assert [instance.file for instance in delivery.instances] == ["1.2.3.dcm"]


def test_an_abort_after_the_last_instance_rolls_back(receiver: LocalReceiver) -> None:
    scu = receiver.associated()
    scu.store("1.2.3", data_set(1000))
    scu.abort()
    wait_for(receiver.aborted)
    assert receiver.committed() == []
    assert receiver.aborted_delivery().reason == "by the peer: aborted by the service user"


def test_without_retention_an_aborted_association_leaves_nothing(tmp_path: Path) -> None:
    with local_receiver(tmp_path, storage={"aborted_retention": "0s"}) as receiver:
        scu = receiver.associated()
        begin_instance(scu)
        assert receiver.incoming()
        scu.abort()
        wait_for(lambda: not receiver.incoming())
        assert receiver.aborted() == receiver.committed() == []


def test_an_association_aborted_within_its_first_instance_leaves_nothing(
    receiver: LocalReceiver,
) -> None:
    scu = receiver.associated()
    scu.command(1, scu.store_request("1.2.4"))
    scu.data(1, data_set(60_000)[:50_000], last=False)
    wait_for(receiver.incoming)
    scu.reset()
    wait_for(lambda: not receiver.incoming())
    assert receiver.aborted() == receiver.committed() == []


def test_where_the_ae_title_says_so_an_aborted_association_is_committed_and_marked(
    tmp_path: Path,
) -> None:
    titles = [{"title": "BRAIN", "pipeline": "keep", "on_abort": "dispatch"}]
    with local_receiver(tmp_path, ae_titles=titles) as receiver:
        receiver.associated().abort()
        scu = receiver.associated()
        begin_instance(scu)
        scu.abort()
        (folder,) = wait_for(receiver.committed)
        delivery = receiver.delivery()
        assert (delivery.end, delivery.incomplete) == ("aborted", True)
        assert [instance.file for instance in delivery.instances] == ["1.2.3.dcm"]
        assert not list(folder.glob("*.part"))
        assert receiver.aborted() == receiver.incoming() == []


def test_a_release_within_an_instance_is_no_release(receiver: LocalReceiver) -> None:
    with receiver.associated() as scu:
        begin_instance(scu)
        scu.socket.sendall(ReleaseRequest().encode())
        assert scu.aborted() == (2, 2)
    wait_for(receiver.aborted)
    assert receiver.committed() == []


def test_a_commit_that_fails_is_an_abort_and_the_folder_stays(receiver: LocalReceiver) -> None:
    with receiver.associated() as scu:
        scu.store("1.2.3", data_set(1000))
        receiver.tree.committed.rmdir()
        scu.ask_release()
        assert scu.aborted() == (2, 0)
    (folder,) = receiver.incoming()
    assert (folder / "1.2.3.dcm").exists()
    receiver.tree.committed.mkdir()
    receiver.associated().release()


def test_a_rename_that_may_not_last_is_taken_back(
    receiver: LocalReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync_directory = durable.sync_directory

    def failing(path: Path) -> None:
        if path == receiver.tree.committed:
            raise OSError(5, "Input/output error")
        sync_directory(path)

    monkeypatch.setattr(durable, "sync_directory", failing)
    with receiver.associated() as scu:
        scu.store("1.2.3", data_set(1000))
        scu.ask_release()
        assert scu.aborted() == (2, 0)
    assert receiver.committed() == []
    assert len(receiver.incoming()) == 1


def test_a_file_that_cannot_be_synced_fails_the_commit(
    receiver: LocalReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".dcm":
            raise OSError(5, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with receiver.associated() as scu:
        assert scu.store("1.2.3", data_set(1000)).status == 0
        scu.ask_release()
        assert scu.aborted() == (2, 0)
    assert receiver.committed() == []
    assert len(receiver.incoming()) == 1


def test_two_associations_at_once_make_two_deliveries(receiver: LocalReceiver) -> None:
    with receiver.associated() as one, receiver.associated() as two:
        for number in range(5):
            assert one.store(f"1.2.{number}", data_set(1000)).status == 0
            assert two.store(f"1.2.{number}", data_set(1000)).status == 0
        one.release()
        two.abort()
    wait_for(receiver.aborted)
    assert len(receiver.delivery().instances) == 5
