"""What is read of a data set, and that none can make the reading of it expensive."""

import os
import random
import struct
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, Sequence, dcmread

from tests.support.data_sets import BIG_ENDIAN, DEFLATED, deflated, described, encoded
from tests.support.samples import CT, EXPLICIT, IMPLICIT, bundled_samples, sample_file
from tests.workers.site import Given, write_instance
from workers.dispatching.headers import Headers, read_headers

UNDEFINED = 0xFFFFFFFF
WHOLE = Headers(
    sop_class_uid=CT,
    sop_instance_uid="1.2.3",
    study_instance_uid="1.9.1",
    series_instance_uid="1.9.1.1",
    modality="CT",
    body_part="HEAD",
)
UNREADABLE = Headers(readable=False)


def honest(**further: object) -> Dataset:
    kind = {"Modality": WHOLE.modality, "BodyPartExamined": WHOLE.body_part}
    uids = {
        "StudyInstanceUID": WHOLE.study_instance_uid,
        "SeriesInstanceUID": WHOLE.series_instance_uid,
    }
    return described("1.2.3", **kind | uids | further)


def header(group: int, element: int, vr: bytes, length: int) -> bytes:
    """Of an element in Explicit VR Little Endian with a long VR."""
    return struct.pack("<HH2sHL", group, element, vr, 0, length)


def item(element: int, length: int = 0) -> bytes:
    return struct.pack("<HHL", 0xFFFE, element, length)


def file_of(folder: Path, data_set: bytes, transfer_syntax: str = EXPLICIT) -> Path:
    path = folder / "1.2.3.dcm"
    write_instance(path, Given("1.2.3", data_set, transfer_syntax=transfer_syntax))
    return path


def read(folder: Path, data_set: bytes, transfer_syntax: str = EXPLICIT) -> Headers:
    return read_headers(file_of(folder, data_set, transfer_syntax))


@contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


# What they say


def test_they_are_uids_and_kind() -> None:
    assert read_headers(sample_file("CT_small.dcm")) == Headers(
        sop_class_uid=CT,
        sop_instance_uid="1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322",
        study_instance_uid="1.3.6.1.4.1.5962.1.2.1.20040119072730.12322",
        series_instance_uid="1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322",
        modality="CT",
    )


@pytest.mark.filterwarnings("ignore")
def test_of_every_sample_they_are_those_that_pydicom_reads() -> None:
    keywords = {
        "sop_class_uid": "SOPClassUID",
        "sop_instance_uid": "SOPInstanceUID",
        "study_instance_uid": "StudyInstanceUID",
        "series_instance_uid": "SeriesInstanceUID",
        "modality": "Modality",
        "body_part": "BodyPartExamined",
    }
    samples = list(bundled_samples())
    assert len({sample.transfer_syntax_uid for sample in samples}) >= 10
    for sample in samples:
        found = dcmread(sample.path, stop_before_pixels=True)
        said = {name: str(found.get(keyword) or "") for name, keyword in keywords.items()}
        known = Headers.model_validate({name: text or None for name, text in said.items()})
        expected = known if known.sop_instance_uid else UNREADABLE
        assert read_headers(sample.path) == expected, sample.path.name


@pytest.mark.parametrize("transfer_syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
@pytest.mark.parametrize("undefined", [False, True], ids=["length", "no-length"])
def test_sequences_before_them_are_passed_over(
    tmp_path: Path, transfer_syntax: str, undefined: bool
) -> None:
    inner = honest(StudyInstanceUID="9.9", Modality="XX")
    inner.is_undefined_length_sequence_item = undefined
    for _ in range(10):
        outer = honest(ReferencedStudySequence=Sequence([inner, inner]))
        outer["ReferencedStudySequence"].is_undefined_length = undefined
        outer.is_undefined_length_sequence_item = undefined
        inner = outer
    assert read(tmp_path, encoded(inner, transfer_syntax), transfer_syntax) == WHOLE


def test_what_is_unknown_is_passed_over_though_its_items_are_implicit(tmp_path: Path) -> None:
    """PS3.5 6.2.2: a sequence whose VR a sender did not know is UN, and implicit in itself."""
    unknown = header(0x0007, 0x1001, b"UN", UNDEFINED) + item(0xE000, UNDEFINED)
    unknown += encoded(honest(), IMPLICIT) + item(0xE00D) + item(0xE0DD)
    assert read(tmp_path, unknown + encoded(honest())) == WHOLE


def test_fragments_of_undefined_length_are_passed_over(tmp_path: Path) -> None:
    fragments = item(0xE000) + item(0xE000, 6) + b"\xff" * 6 + item(0xE0DD)
    data = header(0x0007, 0x1001, b"OB", UNDEFINED) + fragments + encoded(honest())
    assert read(tmp_path, data) == WHOLE


def test_a_data_set_that_falls_into_implicit_vr_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, encoded(honest(), IMPLICIT), EXPLICIT) == WHOLE


def test_one_that_lacks_some_of_them_is_read(tmp_path: Path) -> None:
    lacking = Dataset()
    lacking.SOPInstanceUID = "1.2.3"
    lacking.Modality = ""
    assert read(tmp_path, encoded(lacking)) == Headers(sop_instance_uid="1.2.3")


# Damaged and hostile ones


@pytest.mark.parametrize("transfer_syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
def test_of_one_that_breaks_off_anywhere_nothing_is_read_by_half(
    tmp_path: Path, transfer_syntax: str
) -> None:
    whole = encoded(honest(), transfer_syntax)
    known = WHOLE.model_dump()
    readable = 0
    for length in range(len(whole)):
        found = read(tmp_path, whole[:length], transfer_syntax)
        for name, value in found.model_dump(exclude={"readable"}).items():
            assert value in (None, known[name])
        assert found.readable == (found.sop_instance_uid is not None)
        readable += found.readable
    assert readable


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 1000,
        bytes(1000),
        b"no data set" * 50,
        random.Random(7).randbytes(1000),
        b"",
        item(0xE00D) + encoded(honest()),
        item(0xE0DD) * 2 + encoded(honest()),
    ],
    ids=["ff", "zero", "text", "random", "empty", "item-end", "sequence-ends"],
)
@pytest.mark.parametrize("transfer_syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
def test_garbage_is_not_readable(tmp_path: Path, garbage: bytes, transfer_syntax: str) -> None:
    assert read(tmp_path, garbage, transfer_syntax) == UNREADABLE


def test_what_is_no_dicom_file_is_not_readable(tmp_path: Path) -> None:
    path = tmp_path / "1.2.3.dcm"
    path.write_text("text")
    assert read_headers(path) == UNREADABLE


def test_a_file_that_is_missing_is_not_taken_for_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_headers(tmp_path / "1.2.3.dcm")


@pytest.mark.parametrize("transfer_syntax", [EXPLICIT, IMPLICIT, DEFLATED])
def test_sequences_without_end_in_each_other_are_not_readable(
    tmp_path: Path, transfer_syntax: str
) -> None:
    begin = header(0x0008, 0x1110, b"SQ", UNDEFINED)
    if transfer_syntax == IMPLICIT:
        begin = struct.pack("<HHL", 0x0008, 0x1110, UNDEFINED)
    data = (begin + item(0xE000, UNDEFINED)) * 100_000 + encoded(honest(), transfer_syntax)
    data = deflated(data) if transfer_syntax == DEFLATED else data
    path = file_of(tmp_path, data, transfer_syntax)
    with little_memory():
        assert read_headers(path) == UNREADABLE


def test_elements_without_end_are_not_readable_and_take_no_time(tmp_path: Path) -> None:
    path = file_of(tmp_path, header(0x0007, 0x1001, b"UN", 0) * 5_000_000)
    begun = time.process_time()
    with little_memory():
        assert read_headers(path) == UNREADABLE
    assert time.process_time() - begun < 20  # all of them would take minutes


def test_an_element_of_gigabytes_is_passed_over_unread(tmp_path: Path) -> None:
    huge = 3 << 30
    path = file_of(tmp_path, header(0x0007, 0x1001, b"OB", huge))
    os.truncate(path, path.stat().st_size + huge)  # a hole, which takes no space
    with path.open("ab") as file:
        file.write(encoded(honest()))
    with little_memory():
        assert read_headers(path) == WHOLE


@pytest.mark.parametrize("length", [5000, 0x7FFFFFFF, UNDEFINED - 1])
def test_a_uid_that_is_far_too_long_is_not_read(tmp_path: Path, length: int) -> None:
    path = file_of(tmp_path, header(0x0008, 0x0018, b"UT", length) + b"1" * 5000)
    with little_memory():
        assert read_headers(path) == UNREADABLE


def test_of_what_inflates_without_end_only_the_beginning_is_inflated(tmp_path: Path) -> None:
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    zeros = bytes(1 << 20)
    bomb = deflate.compress(encoded(honest()) + header(0x0021, 0x1001, b"OB", 256 << 20))
    bomb += b"".join(deflate.compress(zeros) for _ in range(256)) + deflate.flush()
    path = file_of(tmp_path, bomb, DEFLATED)
    with little_memory():
        assert read_headers(path) == WHOLE


@settings(max_examples=300, deadline=2000)
@given(data=st.data(), transfer_syntax=st.sampled_from([EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED]))
def test_whatever_the_bytes_are_they_are_read_or_said_to_be_unreadable(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, transfer_syntax: str
) -> None:
    content = bytearray(encoded(honest(), transfer_syntax))
    for _ in range(data.draw(st.integers(0, 8))):
        place = data.draw(st.integers(0, len(content)))
        content[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=12))
    path = file_of(tmp_path_factory.getbasetemp(), bytes(content), transfer_syntax)
    found = read_headers(path)
    assert found.readable == (found.sop_instance_uid is not None)
