"""`penstock config check` on what only this machine knows, and on what is doubtful."""

from pathlib import Path

from tests.support.certificates import Authority
from tests.support.command import Ran, penstock

SETTINGS = """
[receiver.tls]
certificate = "receiver.crt"
key = "receiver.key"
"""


def check(folder: Path, settings: str = SETTINGS) -> Ran:
    file = folder / "penstock.toml"
    file.write_text(settings)
    return penstock("--config", file, "config", "check")


def test_certificates_that_can_be_used_are_no_fault(tmp_path: Path) -> None:
    made = Authority(tmp_path / "ca").issue("receiver", "/CN=penstock")
    made.certificate.rename(tmp_path / "receiver.crt")
    made.key.rename(tmp_path / "receiver.key")
    checked = check(tmp_path)
    assert checked.code == 0
    assert "all is well" in checked.said


def test_a_missing_certificate_is_said_with_its_field_and_file(tmp_path: Path) -> None:
    checked = check(tmp_path)
    assert checked.code == 1
    assert f"receiver.tls.certificate: {tmp_path / 'receiver.crt'}: No such file" in checked.said


def test_a_missing_certificate_of_a_destination_is_said_with_its_field_and_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text(
        '[destinations.PACS]\nae_title = "PACS"\nhost = "pacs.example"\nport = 2762\n'
        '[destinations.PACS.tls]\nca = "pacs-ca.crt"\n'
    )
    checked = penstock("--config", file, "config", "check")
    assert checked.code == 1
    missing = tmp_path / "pacs-ca.crt"
    assert f"destinations.PACS.tls.ca: {missing}: No such file" in checked.said


def test_a_modality_that_the_standard_does_not_know_is_a_doubt(tmp_path: Path) -> None:
    when = 'when.modality = ["CT", "mri", "M*", "X?Y"]'
    checked = check(tmp_path, f'[pipelines.keep]\nkind = "forward"\n{when}\n')
    assert checked.code == 0
    doubts = [line for line in checked.printed.splitlines() if "perhaps a mistake" in line]
    assert len(doubts) == 2
    for doubt, term in zip(doubts, ("'MRI'", "'X?Y'"), strict=True):
        assert f"pipelines.keep.when.modality: {term} is no modality" in doubt


def test_a_condition_that_nothing_can_fulfil_is_a_fault(tmp_path: Path) -> None:
    when = 'when.sop_class = ["Verification"]'
    checked = check(tmp_path, f'[pipelines.keep]\nkind = "forward"\n{when}\n')
    assert checked.code != 0
    assert "pipelines.keep.when.sop_class.0: no storage SOP class" in checked.said
