import stat
from dataclasses import asdict
from pathlib import Path

import pytest

from receiver.store import IGNORED, NO_ROOM, NOT_A_UID, NOT_STORAGE, judge
from shared.part10 import read_file_meta
from shared.upper_layer.c_services import StoreRequest
from shared.upper_layer.presentation_context import ProposedContext
from tests.support.receivers import LocalReceiver, local_receiver, receiver_process
from tests.support.samples import (
    CT,
    EXPLICIT,
    SECONDARY_CAPTURE,
    VERIFICATION,
    WORKLIST,
    bundled_samples,
    data_set,
    data_set_of,
)
from tests.support.scu import STORAGE_CONTEXT

PRIVATE_SOP_CLASS = "1.3.46.670589.11.0.0.12.1"
PRIVATE_TRANSFER_SYNTAX = "1.2.840.113619.5.2"


@pytest.mark.parametrize("uid", ["", "../x", "1.2.a", "1." + "2" * 63, "1.2\x003", ".1", "1/2"])
def test_a_sop_instance_uid_must_be_a_uid(uid: str) -> None:
    assert judge(StoreRequest(1, CT, uid), (), under_reserve=False) is NOT_A_UID


@pytest.mark.parametrize("sop_class", ["", "CT", VERIFICATION, WORKLIST, "1.2.840.10008.1.3.10"])
def test_the_sop_class_must_be_storage(sop_class: str) -> None:
    assert judge(StoreRequest(1, sop_class, "1.2"), (), under_reserve=False) is NOT_STORAGE


def test_what_else_is_settled_before_the_data_set_comes() -> None:
    request = StoreRequest(1, CT, "1.2")
    assert judge(request, (), under_reserve=False) is None
    assert judge(request, (), under_reserve=True) is NO_ROOM
    assert judge(request, (CT,), under_reserve=True) is IGNORED


@pytest.mark.parametrize("uid", ["../../x", "", "1." + "2" * 63])
def test_a_bad_uid_is_answered_0117_and_writes_nothing(receiver: LocalReceiver, uid: str) -> None:
    with receiver.associated() as scu:
        assert scu.store(uid, data_set(50_000)).status == 0x0117
        assert receiver.incoming() == []
        assert scu.store("1.2.3", data_set(100)).status == 0
        scu.release()
    assert receiver.delivery().refused == 1
    (folder,) = receiver.committed()
    assert {file.name for file in folder.glob("*.dcm")} == {"1.2.3.dcm"}


def test_a_sop_class_that_is_not_storage_is_answered_0122(receiver: LocalReceiver) -> None:
    with receiver.associated() as scu:
        assert scu.store("1.2.3", data_set(100), sop_class=WORKLIST).status == 0x0122
        scu.release()
    assert receiver.committed() == []


def test_an_ignored_sop_class_is_answered_0000_and_nothing_is_kept(tmp_path: Path) -> None:
    titles = [
        {
            "title": "BRAIN",
            "pipeline": "keep",
            "ignored_sop_classes": ["SecondaryCaptureImageStorage"],
        }
    ]
    with local_receiver(tmp_path, ae_titles=titles) as receiver:
        contexts = [STORAGE_CONTEXT, ProposedContext(5, SECONDARY_CAPTURE, (EXPLICIT,))]
        with receiver.associated(contexts=contexts) as scu:
            response = scu.store(
                "1.2.4", data_set(40_000), sop_class=SECONDARY_CAPTURE, context_id=5
            )
            assert response.status == 0
            scu.release()
        assert receiver.committed() == receiver.incoming() == []

        with receiver.associated(contexts=contexts) as scu:
            scu.store("1.2.4", data_set(100), sop_class=SECONDARY_CAPTURE, context_id=5)
            scu.store("1.2.5", data_set(100))
            scu.release()
        delivery = receiver.delivery()
        assert [instance.sop_instance_uid for instance in delivery.instances] == ["1.2.5"]
        assert delivery.ignored == 1


def test_data_sets_of_every_bundled_transfer_syntax_are_kept_byte_for_byte(
    receiver: LocalReceiver,
) -> None:
    # Some files of the same instance differ: here each gets a UID of its own.
    samples = {f"1.2.3.{n}": sample for n, sample in enumerate(bundled_samples())}
    kinds = sorted({(s.sop_class_uid, s.transfer_syntax_uid) for s in samples.values()})
    assert len({transfer_syntax for _, transfer_syntax in kinds}) >= 12
    contexts = {
        (sop_class, transfer_syntax): ProposedContext(2 * n + 1, sop_class, (transfer_syntax,))
        for n, (sop_class, transfer_syntax) in enumerate(kinds)
    }
    with receiver.associated(contexts=list(contexts.values())) as scu:
        for uid, sample in samples.items():
            context = contexts[sample.sop_class_uid, sample.transfer_syntax_uid]
            response = scu.store(
                uid, sample.data_set, sop_class=sample.sop_class_uid, context_id=context.id
            )
            assert response.status == 0, sample.path.name
        scu.release()
    (folder,) = receiver.committed()
    for uid, sample in samples.items():
        file = folder / f"{uid}.dcm"
        assert data_set_of(file) == sample.data_set, sample.path.name
        assert read_file_meta(file).transfer_syntax_uid == sample.transfer_syntax_uid


def test_private_sop_classes_and_transfer_syntaxes_are_taken_as_they_come(
    receiver: LocalReceiver,
) -> None:
    content = bytes(range(256)) * 300  # not even a data set: it is not for us to parse
    context = ProposedContext(9, PRIVATE_SOP_CLASS, (PRIVATE_TRANSFER_SYNTAX, EXPLICIT))
    with receiver.associated(contexts=[context]) as scu:
        response = scu.store("1.2.3", content, sop_class=PRIVATE_SOP_CLASS, context_id=9)
        assert response.status == 0
        scu.release()
    (folder,) = receiver.committed()
    meta = read_file_meta(folder / "1.2.3.dcm")
    assert meta.sop_class_uid == PRIVATE_SOP_CLASS
    assert meta.transfer_syntax_uid == PRIVATE_TRANSFER_SYNTAX
    assert (folder / "1.2.3.dcm").read_bytes()[meta.data_set_offset :] == content


def test_odd_fragments_and_many_pieces_make_the_same_file(receiver: LocalReceiver) -> None:
    content = bytes(range(250)) * 400
    with receiver.associated() as scu:
        scu.command(1, scu.store_request("1.2.3"))
        for start in range(0, len(content), 20):
            scu.data(1, content[start : start + 20], last=start + 20 == len(content))
        scu.event()
        scu.release()
    (folder,) = receiver.committed()
    assert data_set_of(folder / "1.2.3.dcm") == content


def test_the_record_says_what_is_in_the_folder(receiver: LocalReceiver) -> None:
    with receiver.associated() as scu:
        scu.store("1.2.3", data_set(5000))
        scu.release()
    (folder,) = receiver.committed()
    file = folder / "1.2.3.dcm"
    delivery = receiver.delivery()
    assert delivery.id == folder.name
    assert (delivery.end, delivery.incomplete) == ("released", False)
    assert (delivery.calling_ae_title, delivery.called_ae_title) == ("CT01", "BRAIN")
    assert (delivery.ae_title, delivery.peer_address) == ("BRAIN", "127.0.0.1")
    assert delivery.peer_implementation_class_uid == "1.2.3.4"
    assert delivery.peer_implementation_version_name == "RAW PEER"
    (instance,) = delivery.instances
    assert asdict(instance) == {
        "sop_class_uid": CT,
        "sop_instance_uid": "1.2.3",
        "transfer_syntax_uid": EXPLICIT,
        "file": file.name,
        "size": file.stat().st_size,
        "conflicts": False,
    }
    assert stat.S_IMODE(file.stat().st_mode) & 0o227 == 0, "written once, and not for all to read"


def test_the_same_instance_twice_is_kept_once(receiver: LocalReceiver) -> None:
    with receiver.associated() as scu:
        for _ in range(3):
            assert scu.store("1.2.3", data_set(300_000)).status == 0
        scu.release()
    (folder,) = receiver.committed()
    assert [file.name for file in folder.glob("*.dcm")] == ["1.2.3.dcm"]
    assert (len(receiver.delivery().instances), receiver.delivery().duplicates) == (1, 2)


def test_other_data_under_the_same_uid_is_kept_beside_and_flagged(receiver: LocalReceiver) -> None:
    with receiver.associated() as scu:
        # `1.2.3.2` would be named as the second file of `1.2.3` is.
        for uid, fill in [("1.2.3", 0), ("1.2.3", 1), ("1.2.3.2", 7), ("1.2.3", 2), ("1.2.3", 1)]:
            assert scu.store(uid, data_set(1000, fill)).status == 0
        scu.release()
    (folder,) = receiver.committed()
    delivery = receiver.delivery()
    kept = [
        (instance.file, instance.conflicts, data_set_of(folder / instance.file)[-1])
        for instance in delivery.instances
    ]
    assert kept == [
        ("1.2.3.dcm", False, 0),
        ("1.2.3.2.dcm", True, 1),
        ("1.2.3.2.2.dcm", False, 7),
        ("1.2.3.3.dcm", True, 2),
    ]
    assert delivery.duplicates == 1


def test_the_same_data_set_in_another_transfer_syntax_is_another(receiver: LocalReceiver) -> None:
    contexts = [STORAGE_CONTEXT, ProposedContext(5, CT, (PRIVATE_TRANSFER_SYNTAX,))]
    with receiver.associated(contexts=contexts) as scu:
        scu.store("1.2.3", data_set(100))
        scu.store("1.2.3", data_set(100), context_id=5)
        scu.release()
    assert [instance.conflicts for instance in receiver.delivery().instances] == [False, True]


def test_with_durability_instance_all_works_alike(tmp_path: Path) -> None:
    with local_receiver(tmp_path, storage={"durability": "instance"}) as receiver:
        with receiver.associated() as scu:
            for uid in ("1.2.3", "1.2.4", "1.2.3"):
                assert scu.store(uid, data_set(100_000)).status == 0
            scu.release()
        assert len(receiver.delivery().instances) == 2


def test_a_disk_error_is_answered_a700_and_costs_that_instance_only(tmp_path: Path) -> None:
    limit = 1_000_000

    def small_files_only() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    with receiver_process(tmp_path, before=small_files_only) as receiver:
        with receiver.associated() as scu:
            assert scu.store("1.2.3", data_set(1000)).status == 0
            response = scu.store("1.2.4", data_set(3 * limit))
            assert response.status == 0xA700
            assert response.error_comment == "Out of resources: File too large"
            (folder,) = receiver.incoming()
            assert not list(folder.glob("*.part"))
            assert scu.store("1.2.5", data_set(1000)).status == 0
            scu.release()
        delivery = receiver.delivery()
        assert [instance.file for instance in delivery.instances] == ["1.2.3.dcm", "1.2.5.dcm"]
        assert delivery.refused == 1


def test_a_folder_that_cannot_be_made_is_answered_a700(receiver: LocalReceiver) -> None:
    folder = receiver.services.incoming.folder
    aside = folder.rename(folder.with_name("aside"))
    with receiver.associated() as scu:
        assert scu.store("1.2.3", data_set(100_000)).status == 0xA700
        aside.rename(folder)
        assert scu.store("1.2.4", data_set(100)).status == 0
        scu.release()
    assert [instance.file for instance in receiver.delivery().instances] == ["1.2.4.dcm"]
