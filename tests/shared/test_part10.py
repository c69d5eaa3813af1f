"""The head of a DICOM file, against pydicom."""

import struct
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pydicom.data
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom.filereader import read_file_meta_info

from shared.part10 import FileMeta, NotPart10Error, encode_head, read_file_meta
from tests.support.samples import CT, EXPLICIT

UID = "1.2.826.0.1.3680043.8.498.1"
HEAD: dict[str, str] = {
    "sop_class_uid": CT,
    "sop_instance_uid": UID,
    "transfer_syntax_uid": EXPLICIT,
    "implementation_class_uid": "1.3.6.1.4.1.30071.8",
    "implementation_version_name": "fo-dicom 4.0.0",
    "calling_ae_title": "CT01",
    "called_ae_title": "BRAIN",
}
DATA_SET = struct.pack("<HH2sH", 0x0008, 0x0018, b"UI", 4) + b"1.2\0"
BUNDLED = sorted(Path(pydicom.data.__file__).parent.rglob("*.dcm"))

uids = st.text("0123456789.", min_size=1, max_size=64)
titles = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=16)
in_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def head(**fields: str) -> bytes:
    return encode_head(**(HEAD | fields))


def meta_of(content: bytes, folder: Path) -> FileMeta:
    path = folder / "file.dcm"
    path.write_bytes(content)
    return read_file_meta(path)


def element(number: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", 0x0002, number, vr, len(value)) + value


def uids_of(meta: FileMeta) -> tuple[str, str, str]:
    return meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax_uid


@given(uids, uids, uids, uids, titles, titles, titles)
@example(*[UID] * 4, "fo-dicom 4.0.0", "CT01", "BRAIN")
def test_pydicom_reads_every_element_of_an_encoded_head(
    sop_class: str,
    sop_instance: str,
    transfer_syntax: str,
    implementation: str,
    version: str,
    calling: str,
    called: str,
):
    encoded = encode_head(
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        transfer_syntax_uid=transfer_syntax,
        implementation_class_uid=implementation,
        implementation_version_name=version,
        calling_ae_title=calling,
        called_ae_title=called,
    )
    assert encoded[:132] == bytes(128) + b"DICM"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not each of these UIDs is one by PS3.5 9.1
        file = BytesIO(encoded)
        file.seek(132)
        meta = pydicom.filereader._read_file_meta_info(file)
        assert file.tell() == len(encoded)  # the group's length is right
        assert {elem.tag.element: elem.value for elem in meta} == {
            0x0000: len(encoded) - 144,
            0x0001: b"\x00\x01",
            0x0002: sop_class,
            0x0003: sop_instance,
            0x0010: transfer_syntax,
            0x0012: implementation,
            0x0013: _as_read(version),
            0x0016: _as_read(calling),
            0x0017: _as_read(calling),
            0x0018: _as_read(called),
        }


def _as_read(text: str) -> Any:
    """pydicom parts a text at its backslashes."""
    return text.split("\\") if "\\" in text else text


def test_pydicom_reads_a_file_with_this_head_and_its_data_set(tmp_path: Path):
    path = tmp_path / "file.dcm"
    path.write_bytes(head() + DATA_SET)
    read = pydicom.dcmread(path)
    assert read.file_meta.SendingApplicationEntityTitle == "CT01"
    assert read.file_meta.ReceivingApplicationEntityTitle == "BRAIN"
    assert read.SOPInstanceUID == "1.2"


@in_files
@given(uids, uids, uids, titles, st.sampled_from([b"", DATA_SET, DATA_SET[:4], bytes(8192)]))
@example(CT, UID, EXPLICIT, "A", b"")
def test_an_encoded_head_is_read_back_whatever_follows(
    tmp_path: Path, sop_class: str, instance: str, syntax: str, called: str, data_set: bytes
):
    encoded = head(
        sop_class_uid=sop_class,
        sop_instance_uid=instance,
        transfer_syntax_uid=syntax,
        called_ae_title=called,
    )
    meta = meta_of(encoded + data_set, tmp_path)
    assert uids_of(meta) == (sop_class, instance, syntax)
    assert meta.data_set_offset == len(encoded)


def test_pydicom_brings_many_files_along():
    assert len(BUNDLED) > 90


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.name)
def test_the_file_meta_is_what_pydicom_reads(path: Path):
    expected = _pydicoms_meta(path)
    if expected is None:
        with pytest.raises(NotPart10Error):
            read_file_meta(path)
        return
    meta = read_file_meta(path)
    assert uids_of(meta) == expected
    with path.open("rb") as file:
        pydicom.filereader.read_preamble(file, force=False)
        pydicom.filereader._read_file_meta_info(file)
        assert meta.data_set_offset == file.tell()


def _pydicoms_meta(path: Path) -> tuple[str, str, str] | None:
    """None where there is no file meta, or it lacks one of the three."""
    try:
        meta = read_file_meta_info(path)
    except pydicom.errors.InvalidDicomError:
        return None
    found = tuple(
        str(meta.get(keyword) or "")
        for keyword in (
            "MediaStorageSOPClassUID",
            "MediaStorageSOPInstanceUID",
            "TransferSyntaxUID",
        )
    )
    return found if all(found) else None


@in_files
@given(st.integers(0, len(head()) - 1))
def test_a_head_torn_at_an_element_or_in_it_is_never_taken_for_whole(tmp_path: Path, length: int):
    """The three UIDs stand before what may be torn off unnoticed: at an element's end."""
    try:
        meta = meta_of(head()[:length], tmp_path)
    except NotPart10Error:
        return
    assert uids_of(meta) == (CT, UID, EXPLICIT)
    assert meta.data_set_offset == length
    read = pydicom.filereader._read_file_meta_info(BytesIO(head()[132:length]))
    assert read.TransferSyntaxUID == EXPLICIT


def test_a_head_torn_inside_an_element_is_refused(tmp_path: Path):
    whole = head()
    for length in range(len(whole) - len(element(0x0018, b"AE", b"BRAIN ")) + 1, len(whole)):
        with pytest.raises(NotPart10Error, match="torn"):
            meta_of(whole[:length], tmp_path)


@in_files
@given(st.binary(max_size=600))
@example(b"")
def test_garbage_is_no_file_and_nothing_worse(tmp_path: Path, garbage: bytes):
    with pytest.raises(NotPart10Error):
        meta_of(garbage, tmp_path)


@in_files
@given(st.data())
def test_a_damaged_head_is_read_or_refused_and_nothing_worse(tmp_path: Path, data: st.DataObject):
    content = bytearray(head() + DATA_SET)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(132, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        meta = meta_of(bytes(content), tmp_path)
    except NotPart10Error:
        return
    assert 132 < meta.data_set_offset <= len(content)
    assert all(uids_of(meta))


@in_files
@given(st.binary(max_size=300))
def test_garbage_after_the_prefix_is_read_or_refused_and_nothing_worse(
    tmp_path: Path, garbage: bytes
):
    with pytest.raises(NotPart10Error):
        meta_of(bytes(128) + b"DICM" + garbage, tmp_path)


def test_a_missing_file_is_the_systems_error_to_tell(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        read_file_meta(tmp_path / "missing.dcm")


@pytest.mark.parametrize("number", [0x0002, 0x0003, 0x0010])
@pytest.mark.parametrize("value", [None, b"", b"\0\0"])
def test_each_uid_is_needed(tmp_path: Path, number: int, value: bytes | None):
    texts = {0x0002: CT, 0x0003: UID, 0x0010: EXPLICIT}
    values = {key: text.encode() + b"\0" * (len(text) % 2) for key, text in texts.items()}
    if value is None:
        del values[number]
    else:
        values[number] = value
    content = bytes(128) + b"DICM" + b"".join(element(n, b"UI", v) for n, v in values.items())
    with pytest.raises(NotPart10Error, match=rf"lacks \(0002,{number:04X}\)"):
        meta_of(content + DATA_SET, tmp_path)


def test_a_wrong_group_length_is_no_hindrance(tmp_path: Path):
    content = bytearray(head() + DATA_SET)
    for wrong in (0, 4, 0xFFFFFFFF):
        struct.pack_into("<I", content, 140, wrong)
        assert meta_of(bytes(content), tmp_path).data_set_offset == len(head())


@pytest.mark.parametrize("length", range(4080, 4112))
@pytest.mark.parametrize("data_set", [b"", DATA_SET])
def test_a_head_of_any_length_is_read(tmp_path: Path, length: int, data_set: bytes):
    """Private information fills it up; its value's length is 4 bytes long."""
    room = length - len(head()) - 12
    private = struct.pack("<HH2sHI", 0x0002, 0x0102, b"OB", 0, room) + bytes(room)
    meta = meta_of(head() + private + data_set, tmp_path)
    assert uids_of(meta) == (CT, UID, EXPLICIT)
    assert meta.data_set_offset == length


def test_values_with_long_lengths_are_stepped_over(tmp_path: Path):
    for vr in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"):
        private = struct.pack("<HH2sHI", 0x0002, 0x0102, vr.encode(), 0, 8) + bytes(8)
        meta = meta_of(head() + private + DATA_SET, tmp_path)
        assert meta.data_set_offset == len(head()) + 20


def test_a_length_beyond_the_file_is_a_torn_head(tmp_path: Path):
    private = struct.pack("<HH2sHI", 0x0002, 0x0102, b"OB", 0, 0xFFFFFFFF)
    with pytest.raises(NotPart10Error, match="torn"):
        meta_of(head() + private + bytes(8192), tmp_path)
