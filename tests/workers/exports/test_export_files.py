"""A file that is missing, or is not what was stored, is not sent."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.destination_state import DestinationState
from tests.support.samples import data_set
from tests.workers.exporting import ended, troubled
from tests.workers.pacs import Pacs
from tests.workers.site import Given, Site
from workers.steps.outcome import Done, Failed

THREE = (Given("1.2.1"), Given("1.2.2"), Given("1.2.3", data_set(100_000, 7)))
REASON = "1 of 3 instances were not delivered: 1 its file is missing, or is not what was stored"


@pytest.fixture
def site(exporting: Callable[..., Site], pacs: Pacs) -> Site:
    return exporting(PACS=pacs.section)


@pytest.fixture
def made(make_site: Callable[..., Site], pacs: Pacs) -> Site:
    """The result is what a program made."""
    return make_site(
        pipelines={
            "keep": {
                "kind": "command",
                "command": ["sh", "-c", "cp {input}/* {output}"],
                "export_to": ["PACS"],
            }
        },
        destinations={"PACS": pacs.section},
    )


def removed(path: Path) -> None:
    path.unlink()


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 2)


def overwritten(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def replaced_by_a_link(path: Path) -> None:
    path.rename(path.with_suffix(".aside"))
    path.symlink_to(path.with_suffix(".aside"))


def no_dicom_file_any_more(path: Path) -> None:
    path.write_text("text")


@pytest.mark.parametrize(
    "change", [removed, cut_short, overwritten, replaced_by_a_link, no_dicom_file_any_more]
)
@pytest.mark.parametrize("which", ["site", "made"])
def test_it_fails_alone(
    request: pytest.FixtureRequest, pacs: Pacs, which: str, change: Callable[[Path], None]
) -> None:
    site: Site = request.getfixturevalue(which)
    job_id = site.exporting(*THREE)
    result = site.folder(job_id).read().result
    assert result is not None
    change(site.folder(job_id).path / result.folder / "1.2.2.dcm")
    assert site.export(job_id) == Failed(f"PACS: {REASON}")
    assert pacs.uids == ["1.2.1", "1.2.3"]
    end = ended(site, job_id)
    assert (end.state, end.delivered, end.failed) == (DestinationState.FAILED, 2, 1)


def test_one_that_changes_between_two_tries_is_not_sent(site: Site, pacs: Pacs) -> None:
    job_id = site.exporting(*THREE)
    pacs.answer = lambda uid: 0xA700
    troubled(site.export(job_id))
    pacs.forget()
    overwritten(site.folder(job_id).input / "1.2.1.dcm")
    assert isinstance(site.export(job_id), Failed)
    assert pacs.uids == ["1.2.2", "1.2.3"]


def test_another_time_of_the_same_bytes_is_no_change(site: Site, pacs: Pacs) -> None:
    """As after a restore from a backup."""
    job_id = site.exporting(*THREE)
    for path in site.folder(job_id).input.iterdir():
        os.utime(path, (1, 1))
    assert site.export(job_id) == Done()
    assert len(pacs.uids) == 3


def test_what_is_put_beside_a_result_later_is_no_part_of_it(site: Site, pacs: Pacs) -> None:
    job_id = site.exporting(*THREE)
    (site.folder(job_id).input / "DOE^JOHN.dcm").write_text("text")
    assert site.export(job_id) == Done()
    assert len(pacs.uids) == 3


def test_a_result_without_a_list_of_its_files_is_sent_as_it_is_found(
    site: Site, pacs: Pacs
) -> None:
    job_id = site.exporting(*THREE)
    (site.folder(job_id).path / "attempts" / "1" / "result.json").unlink()
    (site.folder(job_id).input / "1.2.2.dcm").unlink()
    assert site.export(job_id) == Done()
    assert pacs.uids == ["1.2.1", "1.2.3"]


def test_its_name_is_not_told(site: Site, pacs: Pacs) -> None:
    job_id = site.exporting(*THREE)
    (site.folder(job_id).path / "attempts" / "1" / "result.json").unlink()
    (site.folder(job_id).input / "DOE^JOHN.dcm").write_text("text")
    outcome = site.export(job_id)
    assert isinstance(outcome, Failed)
    assert "a result cannot be read" in outcome.reason
    assert "DOE" not in outcome.reason
    assert pacs.received == []
