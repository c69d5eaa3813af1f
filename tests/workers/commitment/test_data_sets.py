"""What is asked and what is told, with pydicom as the other side."""

import struct
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom.dsutils import decode

from shared.part10 import encode_head
from shared.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from tests.support.samples import CT, IMPLICIT
from workers.commitment.data_sets import Told, encode_request, read_told

ZEROS = "1.02.3"  # not as PS3.5 9.1 wants it, and sent by real modalities


def written(path: Path, data_set: bytes) -> Path:
    head = encode_head(
        sop_class_uid=STORAGE_COMMITMENT,
        sop_instance_uid=STORAGE_COMMITMENT_INSTANCE,
        transfer_syntax_uid=IMPLICIT,
        implementation_class_uid="1.2.3.4",
        implementation_version_name="TESTS",
        calling_ae_title="PACS",
        called_ae_title="PENSTOCK",
    )
    path.write_bytes(head + data_set)
    return path


def element(tag: tuple[int, int], value: bytes) -> bytes:
    return struct.pack("<HHI", *tag, len(value)) + value


def reference(uid: bytes, rest: bytes = b"") -> bytes:
    return element((0xFFFE, 0xE000), element((0x0008, 0x1155), uid) + rest)


def test_what_is_asked_reads_alike_in_pydicom() -> None:
    encoded = encode_request("2.25.1", [(CT, "1.2.3"), (CT, "1.2.34")])
    asked = decode(BytesIO(encoded), True, True)
    assert asked.TransactionUID == "2.25.1"
    references = [
        (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
        for item in asked.ReferencedSOPSequence
    ]
    assert references == [(CT, "1.2.3"), (CT, "1.2.34")]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_uids_that_break_the_rules_are_asked_for_and_read(tmp_path: Path) -> None:
    path = written(tmp_path / "report.dcm", encode_request("2.25.1", [(CT, ZEROS)]))
    assert read_told(path) == Told(frozenset({ZEROS}), {})


def test_failures_come_with_their_reasons_where_they_have_one(tmp_path: Path) -> None:
    reason = element((0x0008, 0x1197), b"\x12\x01")
    failed = reference(b"1.2\0", reason) + reference(b"1.3\0")
    both = reference(b"1.2\0") + reference(b"1.4\0")  # one of them is said to have failed, too
    data_set = element((0x0008, 0x1198), failed) + element((0x0008, 0x1199), both)
    path = written(tmp_path / "report.dcm", data_set)
    assert read_told(path) == Told(frozenset({"1.4"}), {"1.2": 0x0112, "1.3": None})


@pytest.mark.parametrize("data_set", [b"", element((0x0008, 0x1199), b"")])
def test_a_report_of_nothing_says_nothing(tmp_path: Path, data_set: bytes) -> None:
    assert read_told(written(tmp_path / "report.dcm", data_set)) == Told(frozenset(), {})


def test_garbage_cannot_be_read(tmp_path: Path) -> None:
    whole = written(tmp_path / "report.dcm", element((0x0008, 0x1199), reference(b"1.2\0")))
    assert read_told(whole) == Told(frozenset({"1.2"}), {})
    (tmp_path / "garbage").write_bytes(b"garbage")
    assert read_told(tmp_path / "garbage") is None
    nameless = written(tmp_path / "x", element((0x0008, 0x1199), element((0xFFFE, 0xE000), b"")))
    assert len(dcmread(nameless).ReferencedSOPSequence) == 1
    assert read_told(nameless) is None
