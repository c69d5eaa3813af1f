"""DCMTK's senders, as many modalities and PACS are built on them."""

import time
from pathlib import Path

import pydicom

from tests.peers.tools import run, stored
from tests.support.receivers import LocalReceiver, local_receiver
from tests.support.samples import data_set_of, sample_file
from tests.support.waiting import wait_for

# Files that DCMTK sends as they are: of others it drops padding or encodes lengths anew.
AS_THEY_ARE = ["test-SR.dcm", "SC_rgb_small_odd.dcm", "chrH31.dcm", "chrX1.dcm"]


def check_bytes(receiver: LocalReceiver) -> None:
    kept = {data_set_of(path) for _, path in stored(receiver).values()}
    assert kept == {data_set_of(sample_file(name)) for name in AS_THEY_ARE}


def call(receiver: LocalReceiver, called: str = "BRAIN") -> tuple[str, ...]:
    return ("-aet", "DCMTK", "-aec", called, "127.0.0.1", str(receiver.port))


def test_echoscu_is_answered(receiver: LocalReceiver) -> None:
    assert run("echoscu", *call(receiver)).returncode == 0


def test_echoscu_learns_why_it_is_refused(receiver: LocalReceiver) -> None:
    refused = run("echoscu", *call(receiver, called="NOBODY"))
    assert refused.returncode != 0
    assert "Called AE Title Not Recognized" in refused.stderr


def test_storescu_which_proposes_128_contexts_delivers(receiver: LocalReceiver) -> None:
    sent = run("storescu", *call(receiver), sample_file("CT_small.dcm"))
    assert sent.returncode == 0, sent.stderr
    (folder,) = receiver.committed()
    (instance,) = receiver.delivery().instances
    stored = pydicom.dcmread(folder / instance.file)
    original = pydicom.dcmread(sample_file("CT_small.dcm"))
    del original.DataSetTrailingPadding  # which storescu does not send
    assert stored == original
    assert receiver.delivery().calling_ae_title == "DCMTK"
    assert receiver.delivery().peer_implementation_version_name.startswith("OFFIS_DCMTK")


def test_what_storescu_sends_as_it_is_is_kept_byte_for_byte(receiver: LocalReceiver) -> None:
    sent = run("storescu", *call(receiver), *map(sample_file, AS_THEY_ARE))
    assert sent.returncode == 0, sent.stderr
    check_bytes(receiver)


def test_storescu_is_not_held_up_by_delayed_acknowledgements(
    receiver: LocalReceiver, tmp_path: Path
) -> None:
    # 40 ms an instance and more where TCP_NODELAY or TCP_QUICKACK is not set.
    folder = tmp_path / "study"
    folder.mkdir()
    for number in range(100):
        (folder / f"{number}.dcm").symlink_to(sample_file("CT_small.dcm"))
    began = time.monotonic()
    sent = run("storescu", "+sd", *call(receiver), folder)
    assert sent.returncode == 0, sent.stderr
    assert time.monotonic() - began < 3
    assert receiver.delivery().duplicates == 99


def test_an_aborting_storescu_leaves_nothing_to_dispatch(receiver: LocalReceiver) -> None:
    run("storescu", "--abort", *call(receiver), sample_file("CT_small.dcm"))
    wait_for(receiver.aborted)
    assert receiver.committed() == receiver.incoming() == []
    assert len(receiver.aborted_delivery().instances) == 1


def test_an_aborting_storescu_leaves_nothing_at_all_without_retention(tmp_path: Path) -> None:
    with local_receiver(tmp_path, storage={"aborted_retention": "0s"}) as receiver:
        run("storescu", "--abort", *call(receiver), sample_file("CT_small.dcm"))
        wait_for(lambda: not receiver.server.connections())
        assert receiver.committed() == receiver.aborted() == receiver.incoming() == []


def test_dcmsend_delivers_several_files_in_one_association(receiver: LocalReceiver) -> None:
    files = [sample_file("CT_small.dcm"), sample_file("MR_small.dcm")]
    sent = run("dcmsend", *call(receiver), *files)
    assert sent.returncode == 0, sent.stderr
    assert len(receiver.delivery().instances) == 2


def test_what_dcmsend_sends_as_it_is_is_kept_byte_for_byte(receiver: LocalReceiver) -> None:
    sent = run("dcmsend", *call(receiver), *map(sample_file, AS_THEY_ARE))
    assert sent.returncode == 0, sent.stderr
    check_bytes(receiver)
