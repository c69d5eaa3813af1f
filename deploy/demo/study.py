"""The demo's study: files that pydicom brings along, of many kinds, made one study."""

from pathlib import Path

import pydicom.data
from pydicom import dcmread
from pydicom.uid import generate_uid

# One of each: SOP classes by transfer syntaxes, compressed ones too.
_FILES = (
    "CT_small.dcm",
    "693_J2KI.dcm",
    "examples_overlay.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_RLE.dcm",
    "examples_palette.dcm",
    "examples_jpeg2k.dcm",
    "examples_ybr_color.dcm",
    "image_dfl.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "liver_1frame.dcm",
    "test-SR.dcm",
    "waveform_ecg.dcm",
)


def make_study(folder: Path) -> list[Path]:
    """Writes the study's files into a folder, all under one study and one invented patient."""
    source = Path(pydicom.data.__file__).parent / "test_files"
    study_instance_uid = generate_uid()
    return [_adopt(source / name, folder / name, study_instance_uid) for name in _FILES]


def _adopt(source: Path, target: Path, study_instance_uid: str) -> Path:
    data_set = dcmread(source)
    data_set.StudyInstanceUID = study_instance_uid
    data_set.SOPInstanceUID = generate_uid()  # some of the files are one image, stored twice
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    data_set.PatientName = "Penstock^Demo"
    data_set.PatientID = "DEMO"
    data_set.save_as(target)
    return target
