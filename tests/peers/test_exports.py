"""Exports to DCMTK's storescp at its worst, to Orthanc and to dcmjs-dimse (E1 to E4)."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pydicom
import pytest

from deploy.system import accepts_connections, free_port
from shared.destination_state import DestinationState
from shared.job import DestinationEnd
from shared.part10 import read_file_meta
from tests.support.destinations import HOST, storescp
from tests.support.orthanc import orthanc
from tests.support.programs import program
from tests.support.samples import data_set_of, sample_file
from tests.support.waiting import wait_for
from tests.workers.site import Given, Site
from workers.steps.outcome import Done, Failed, TryAgain

TIMEOUT = 1.0  # seconds
NAMES = ("CT_small.dcm", "MR_small.dcm", "test-SR.dcm")
JPEG_2000 = "GDCMJ2K_TextGBR.dcm"


def given(*names: str) -> list[Given]:
    found = []
    for name in names:
        meta = read_file_meta(sample_file(name))
        found.append(
            Given(
                meta.sop_instance_uid,
                data_set_of(sample_file(name)),
                meta.sop_class_uid,
                meta.transfer_syntax_uid,
            )
        )
    return found


def kept_in(folder: Path) -> dict[str, bytes]:
    """The data sets that storescp has written, by SOP Instance UID."""
    return {read_file_meta(path).sop_instance_uid: data_set_of(path) for path in folder.iterdir()}


def data_sets(instances: list[Given]) -> dict[str, bytes]:
    return {each.uid: each.data_set for each in instances}


@pytest.fixture
def port() -> int:
    """Where the destination is going to listen."""
    return free_port(HOST)


@pytest.fixture
def site(make_site: Callable[..., Site], port: int) -> Site:
    return make_site(
        pipelines={"keep": {"kind": "forward", "export_to": ["PACS"]}},
        destinations={"PACS": {"ae_title": "PACS", "host": HOST, "port": port}},
        exporter={"association_timeout": f"{TIMEOUT}s", "response_timeout": f"{TIMEOUT}s"},
    )


def ended(site: Site, job_id: str) -> DestinationEnd:
    return site.folder(job_id).read().destinations["PACS"]


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("--refuse", "rejected"),
        ("--abort-after", "abort"),
        ("--abort-during", "abort"),
        ("--sleep-after=3", "timed out"),
        ("--sleep-during=3", "timed out"),
    ],
)
def test_what_a_storescp_that_fails_has_not_taken_is_sent_to_the_next_that_is_well(
    site: Site, port: int, tmp_path: Path, option: str, reason: str
) -> None:
    instances = given(*NAMES)
    job_id = site.exporting(*instances)
    with storescp(tmp_path / "bad", *option.split("="), port=port):
        begun = time.monotonic()
        outcome = site.export(job_id)
        assert isinstance(outcome, TryAgain)
        assert reason in outcome.reason.lower()
        assert time.monotonic() - begun < TIMEOUT + 2
    with storescp(tmp_path / "well", port=port):
        assert site.export(job_id) == Done()
    # `--sleep-after` is after the response: what had one may count as delivered.
    kept = kept_in(tmp_path / "bad") | kept_in(tmp_path / "well")
    assert kept == data_sets(instances)
    assert ended(site, job_id).delivered == len(instances)


def test_a_storescp_whose_folder_is_gone_is_asked_again_until_it_is_back(
    site: Site, port: int, tmp_path: Path
) -> None:
    instances = given(*NAMES)
    job_id = site.exporting(*instances)
    folder = tmp_path / "kept"
    with storescp(folder, port=port):
        shutil.rmtree(folder)
        for _ in range(2):
            outcome = site.export(job_id)
            assert isinstance(outcome, TryAgain)
            assert "A700" in outcome.reason
        folder.mkdir()
        assert site.export(job_id) == Done()
    assert kept_in(folder) == data_sets(instances)


def test_what_storescp_takes_in_no_transfer_syntax_fails_alone_and_with_the_reason(
    site: Site, port: int, tmp_path: Path
) -> None:
    taken, compressed = given(*NAMES), given(JPEG_2000)
    job_id = site.exporting(*taken, *compressed)
    with storescp(tmp_path / "kept", port=port, accepting="+x="):
        assert isinstance(site.export(job_id), Failed)
    assert kept_in(tmp_path / "kept") == data_sets(taken)
    end = ended(site, job_id)
    assert (end.state, end.delivered, end.failed) == (DestinationState.FAILED, len(taken), 1)
    assert end.reason


def test_what_storescp_ignores_is_delivered_as_far_as_anybody_can_tell(
    site: Site, port: int, tmp_path: Path
) -> None:
    job_id = site.exporting(*given(*NAMES))
    with storescp(tmp_path / "kept", "--ignore", port=port):
        assert site.export(job_id) == Done()
    assert ended(site, job_id).delivered == len(NAMES)


def test_orthanc_has_what_was_sent_twice_once_and_as_it_was(
    site: Site, port: int, tmp_path: Path
) -> None:
    instances = given(*NAMES, JPEG_2000)
    with orthanc(tmp_path / "orthanc", {}, dicom_port=port) as peer:
        for _ in range(2):
            job_id = site.exporting(*instances)
            assert site.export(job_id) == Done()
            assert ended(site, job_id).delivered == len(instances)
        (tmp_path / "kept").mkdir()
        for number, content in enumerate(peer.files()):
            (tmp_path / "kept" / f"{number}.dcm").write_bytes(content)
    assert kept_in(tmp_path / "kept") == data_sets(instances)


@contextmanager
def dcmjs(port: int, *statuses: str) -> Iterator["subprocess.Popen[str]"]:
    script = Path(__file__).parent / "dcmjs" / "receive.js"
    process = subprocess.Popen(
        [program("node"), script, str(port), *statuses], stdout=subprocess.PIPE, text=True
    )
    try:
        wait_for(lambda: accepts_connections(HOST, port), 30)
        yield process
    finally:
        process.kill()
        process.wait()


def test_dcmjs_gets_what_it_was_short_of_resources_for_again_and_its_other_answers_count(
    site: Site, port: int
) -> None:
    names = ("CT_small.dcm", "MR_small.dcm", "rtdose.dcm")
    job_id = site.exporting(*given(*names))
    with dcmjs(port, "0000", "A700", "B000", "C000") as peer:
        assert isinstance(site.export(job_id), TryAgain)
        assert site.export(job_id) == Failed(
            "PACS: 1 of 3 instances were not delivered: 1 refused with C000 (cannot understand)"
        )
        peer.kill()
        assert peer.stdout is not None
        came = {line.rstrip().removeprefix("came: ") for line in peer.stdout if "came: " in line}
    assert came == {
        f"{image.file_meta.MediaStorageSOPInstanceUID} {sha256(image.PixelData).hexdigest()}"
        for image in (pydicom.dcmread(sample_file(name)) for name in names)
    }
    end = ended(site, job_id)
    assert (end.delivered, end.warnings, end.failed) == (2, 1, 1)
