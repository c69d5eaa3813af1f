"""The examples of the documentation, run as they are."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels import apply_rescale

from shared.destination_state import DestinationState
from tests.support.destinations import HOST, storescp
from tests.support.gateway import REPOSITORY, Gateway
from tests.support.series import make_series

BONE = REPOSITORY / "docs" / "examples" / "bone-segmentation"


def settings_of(example: Path) -> dict[str, Any]:
    """With this interpreter and the repository's copy of the program in place of those paths."""
    settings = tomllib.loads((example / "penstock.toml").read_text())
    for pipeline in settings["pipelines"].values():
        _, program, *rest = pipeline["command"]
        pipeline["command"] = [sys.executable, str(example / Path(program).name), *rest]
    return settings


@pytest.mark.parametrize(
    ("sample", "label"), [("CT_small.dcm", "[Bone]"), ("MR_small.dcm", "[Bright tissue]")]
)
def test_a_series_becomes_a_segmentation_at_the_destination(
    tmp_path: Path, sample: str, label: str
) -> None:
    series = make_series(tmp_path / "series", sample, 5)
    settings = settings_of(BONE)
    with storescp(tmp_path / "kept") as port:
        settings["destinations"]["PACS"] |= {"host": HOST, "port": port}
        with Gateway(tmp_path, **settings) as gateway:
            sent = gateway.storescu(*series, called="BONE")
            assert sent.returncode == 0, sent.stderr
            job = gateway.wait_for_job(timeout=60)
            assert job.destinations["PACS"].state is DestinationState.DELIVERED
            shown = gateway.penstock("jobs", "show", job.id)
            assert "PENSTOCK_PROGRESS 1.00 1 series" in shown.stdout

    (result,) = (tmp_path / "kept").iterdir()
    dumped = dcmdump(result)
    source = dcmread(series[0])
    assert "=SegmentationStorage" in dumped
    assert f"[{source.StudyInstanceUID}]" in dumped
    assert label in dumped
    for path in series:
        assert f"[{dcmread(path).SOPInstanceUID}]" in dumped
    assert errors_of_dciodvfy(result) == []


def test_the_segmentation_has_the_pixels_that_are_bone(tmp_path: Path) -> None:
    series = make_series(tmp_path / "series", "CT_small.dcm", 3)
    (tmp_path / "results").mkdir()
    program = [sys.executable, BONE / "segment.py", tmp_path / "series", tmp_path / "results"]
    subprocess.run(program, check=True)
    (result,) = (tmp_path / "results").iterdir()
    found = dcmread(result).pixel_array
    images = [dcmread(path) for path in series]
    values = np.stack([apply_rescale(image.pixel_array, image) for image in images])
    assert 0 < found.sum() < found.size
    assert np.array_equal(found, values >= 200)


def dcmdump(path: Path) -> str:
    return subprocess.run(
        ["dcmdump", "+L", str(path)], check=True, capture_output=True, text=True
    ).stdout


def errors_of_dciodvfy(path: Path) -> list[str]:
    """None also where it crashes, as it does on some: that is no verdict."""
    judged = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
    return [line for line in judged.stderr.splitlines() if line.startswith("Error")]
