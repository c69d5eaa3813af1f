import os
from pathlib import Path

import pytest

from shared.part10 import NotPart10Error, read_file_meta
from shared.result_files import bad_results, result_files, result_instances
from tests.support.samples import sample_file
from tests.workers.site import Given, write_instance


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An output with an instance, in a folder, and what belongs to it."""
    (tmp_path / "output" / "series").mkdir(parents=True)
    write_instance(tmp_path / "output" / "series" / "a.dcm", Given("1.2.3.4"))
    (tmp_path / "output" / "report.json").write_text("{}")
    return tmp_path / "output"


def told(folder: Path) -> list[tuple[str, str]]:
    return [(bad.told, bad.what) for bad in bad_results(folder)]


def test_files_are_found_in_folders_and_instances_by_their_suffix(folder: Path) -> None:
    assert result_files(folder) == [folder / "report.json", folder / "series" / "a.dcm"]
    assert result_instances(folder) == [folder / "series" / "a.dcm"]
    assert told(folder) == []


def test_links_and_special_files_are_not_followed(folder: Path, tmp_path: Path) -> None:
    before = result_files(folder)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.dcm").write_bytes(sample_file("CT_small.dcm").read_bytes())
    (folder / "all").symlink_to(tmp_path / "outside")
    (folder / "passwd").symlink_to("/etc/passwd")
    (folder / "gone").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    assert result_files(folder) == before
    assert told(folder) == []


def test_what_is_named_as_an_instance_must_be_one(folder: Path) -> None:
    (folder / "1.2.3.4.5.dcm").write_bytes(b"no")
    ((why),) = [what for _, what in told(folder)]
    with pytest.raises(NotPart10Error, match=why):
        read_file_meta(folder / "1.2.3.4.5.dcm")


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "it is a symbolic link"),
        (lambda path: path.symlink_to("/"), "it is a symbolic link"),
        (os.mkfifo, "it is no regular file"),
    ],
)
def test_an_instance_that_leads_elsewhere_is_none(folder: Path, make, what: str) -> None:
    make(folder / "1.2.3.4.5.dcm")
    assert told(folder) == [("1.2.3.4.5.dcm", what)]


def test_an_instance_without_proper_uids_is_none(folder: Path) -> None:
    write_instance(folder / "b.dcm", Given("DOE^JOHN"))
    ((name, what),) = told(folder)
    assert "UID" in what
    assert "DOE" not in name + what


@pytest.mark.parametrize(
    "name", ["DOE^JOHN.dcm", "12345678.dcm", "19.04.1980.dcm", "1.2.3.DOE.dcm", "\udcff.dcm"]
)
def test_a_name_that_could_name_a_patient_is_not_told(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"no")
    assert [name for name, _ in told(folder)] == ["a file named *.dcm"]


def test_an_output_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(bad_results(tmp_path / "gone"))
