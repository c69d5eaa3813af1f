"""`penstock config check` on what only this machine knows."""

from pathlib import Path

from typer.testing import CliRunner

from deploy.cli.app import app
from tests.support.certificates import Authority

SETTINGS = """
[receiver.tls]
certificate = "receiver.crt"
key = "receiver.key"
"""


def check(folder: Path) -> tuple[int, str]:
    file = folder / "penstock.toml"
    file.write_text(SETTINGS)
    result = CliRunner().invoke(app, ["--config", str(file), "config", "check"])
    return result.exit_code, result.output


def test_certificates_that_can_be_used_are_no_fault(tmp_path: Path) -> None:
    made = Authority(tmp_path / "ca").issue("receiver", "/CN=penstock")
    made.certificate.rename(tmp_path / "receiver.crt")
    made.key.rename(tmp_path / "receiver.key")
    code, said = check(tmp_path)
    assert code == 0
    assert "all is well" in said


def test_a_missing_certificate_is_said_with_its_field_and_file(tmp_path: Path) -> None:
    code, said = check(tmp_path)
    assert code == 1
    assert f"receiver.tls.certificate: {tmp_path / 'receiver.crt'}: No such file" in said
