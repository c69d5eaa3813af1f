"""Makes a DICOM Segmentation of each CT or MR series in a folder: what is bone, or bright.

    python segment.py INPUT OUTPUT

A stand-in for a model: everything but `find` is what a real one needs too.
"""

import sys
from collections import defaultdict
from pathlib import Path

import highdicom as hd
import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels import apply_rescale
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, MRImageStorage

BONE = 200  # Hounsfield units


def main(source: Path, target: Path) -> None:
    all_series = read_series(source)
    for number, images in enumerate(all_series, start=1):
        result = describe(images, find(images))
        result.save_as(target / f"{result.SOPInstanceUID}.dcm")
        # The gateway shows the fraction; the text stays in the attempt's output.log.
        print(f"PENSTOCK_PROGRESS {number / len(all_series):.2f} {number} series", flush=True)


def read_series(folder: Path) -> list[list[Dataset]]:
    """The images of each series, in the order in which they lie in the patient."""
    series: dict[str, list[Dataset]] = defaultdict(list)
    for path in folder.glob("*.dcm"):
        image = dcmread(path)
        if image.SOPClassUID in (CTImageStorage, MRImageStorage):
            series[image.SeriesInstanceUID].append(image)
    return [sorted(images, key=_position) for images in series.values()]


def _position(image: Dataset) -> float:
    row, column = np.reshape(image.ImageOrientationPatient, (2, 3))
    return float(np.cross(row, column) @ np.array(image.ImagePositionPatient))


def find(images: list[Dataset]) -> NDArray[np.uint8]:
    """1 where there is something, an array of frames, rows and columns. A model's place."""
    values = np.stack([apply_rescale(image.pixel_array, image) for image in images])
    limit = BONE if images[0].Modality == "CT" else np.percentile(values, 90)
    return (values >= limit).astype(np.uint8)


def describe(images: list[Dataset], found: NDArray[np.uint8]) -> Segmentation:
    """The result in the patient's study, as a series of its own."""
    is_ct = images[0].Modality == "CT"
    segment = SegmentDescription(
        segment_number=1,
        segment_label="Bone" if is_ct else "Bright tissue",
        segmented_property_category=codes.SCT.AnatomicalStructure if is_ct else codes.SCT.Tissue,
        segmented_property_type=codes.SCT.Bone if is_ct else codes.SCT.Tissue,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="Threshold", version="1.0", family=codes.cid7162.HistogramAnalysis
        ),
    )
    return Segmentation(
        source_images=images,
        pixel_array=found,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[segment],
        series_instance_uid=hd.UID(),
        series_number=900,
        series_description="Bone, not for diagnosis" if is_ct else "Bright, not for diagnosis",
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="Penstock examples",
        manufacturer_model_name="Bone segmentation",
        software_versions="1.0",
        device_serial_number="0",
        omit_empty_frames=False,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
