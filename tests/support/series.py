"""Series of many images, made of one of pydicom's."""

from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

from tests.support.samples import sample_file


def make_series(folder: Path, sample: str, count: int, spacing: float = 5) -> list[Path]:
    """Images that lie `spacing` mm apart, in files of their own."""
    folder.mkdir()
    paths = []
    for number in range(count):
        image = dcmread(sample_file(sample))
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.InstanceNumber = number + 1
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x, y, z + spacing * number]
        paths.append(folder / f"{number}.dcm")
        image.save_as(paths[-1])
    return paths
