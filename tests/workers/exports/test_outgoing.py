from pathlib import Path

import pytest

from shared.part10 import FileMeta, NotPart10Error
from tests.workers.site import Given, write_instance
from workers.exports.outgoing import Outgoing, by_association, outgoing_in


def outgoing(name: str, pair: int) -> Outgoing:
    meta = FileMeta(f"1.2.{pair // 10}", "1.2.3", f"1.3.{pair % 10}", 0)
    return Outgoing(name, Path(name), meta)


def test_every_dicom_file_of_a_folder_is_found_in_order(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    (tmp_path / "folder.dcm").mkdir()
    for name in ("b.dcm", "series/c.dcm", "a.dcm"):
        write_instance(tmp_path / name, Given(f"1.2.{len(name)}"))
    (tmp_path / "notes.txt").write_text("not to be sent")
    found = outgoing_in(tmp_path)
    assert [file.name for file in found] == ["a.dcm", "b.dcm", "series/c.dcm"]
    assert [file.path for file in found] == [tmp_path / file.name for file in found]
    assert found[2].meta.sop_instance_uid == "1.2.12"


def test_a_folder_without_any_is_nothing_to_send(tmp_path: Path) -> None:
    assert outgoing_in(tmp_path) == []


def test_a_file_that_is_no_dicom_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_text("text")
    with pytest.raises(NotPart10Error):
        outgoing_in(tmp_path)


def test_a_link_to_a_file_that_is_gone_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").symlink_to(tmp_path / "gone.dcm")
    assert outgoing_in(tmp_path) == []


def test_files_of_128_kinds_go_in_one_association() -> None:
    files = [outgoing(f"{number}.dcm", number % 128) for number in range(300)]
    assert list(by_association(files)) == [files]


def test_files_of_more_kinds_go_in_several_associations_each_kind_in_one() -> None:
    files = [outgoing(f"{number}.dcm", number % 129) for number in range(300)]
    first, second = by_association(files)
    assert [file.name for file in second] == ["128.dcm", "257.dcm"]
    assert first == [file for file in files if file not in second]


def test_no_files_need_no_association() -> None:
    assert list(by_association([])) == []
