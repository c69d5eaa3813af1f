"""`penstock config check` on what only this machine knows."""

from pathlib import Path

from tests.support.certificates import Authority
from tests.support.command import Ran, penstock

SETTINGS = """
[receiver.tls]
certificate = "receiver.crt"
key = "receiver.key"
"""


def check(folder: Path) -> Ran:
    file = folder / "penstock.toml"
    file.write_text(SETTINGS)
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
