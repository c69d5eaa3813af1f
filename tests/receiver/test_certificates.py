"""The files of `receiver.tls`, and the rules of our handshakes."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from receiver.certificates import Certificates
from shared.certificate_files import CertificateFileError
from shared.settings.load import load
from shared.settings.receiving import Receiver
from shared.settings.tls import Tls
from tests.support.certificates import Hospital, openssl


def section(hospital: Hospital, **values: Any) -> Tls:
    return Tls.model_validate(hospital.tls(**values))


def test_only_suites_with_forward_secrecy_and_authenticated_encryption(hospital: Hospital) -> None:
    context = Certificates(section(hospital)).context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    for suite in context.get_ciphers():
        assert suite["aead"], suite["name"]
        assert suite["protocol"] == "TLSv1.3" or suite["kea"] == "kx-ecdhe", suite["name"]


def test_without_client_ca_peers_are_asked_for_nothing(hospital: Hospital) -> None:
    assert Certificates(section(hospital)).context.verify_mode is ssl.CERT_REQUIRED
    assert Certificates(section(hospital, mutual=False)).context.verify_mode is ssl.CERT_NONE


def test_tls_is_off_where_there_is_no_section() -> None:
    assert Certificates.of(Receiver()) is None


@pytest.mark.parametrize("field", ["certificate", "key", "client_ca"])
def test_a_missing_file_is_named_with_its_field(
    hospital: Hospital, tmp_path: Path, field: str
) -> None:
    missing = tmp_path / "missing.pem"
    with pytest.raises(CertificateFileError) as error:
        Certificates(section(hospital, **{field: str(missing)}))
    assert str(error.value) == f"receiver.tls.{field}: {missing}: No such file or directory"


@pytest.mark.parametrize(
    ("field", "fault"),
    [
        ("certificate", "no certificate in PEM"),
        ("key", "no private key that can be used"),
        ("client_ca", "no certificate in PEM"),
    ],
)
@pytest.mark.parametrize("content", ["", "what?", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_file_of_something_else_is_named_with_its_field(
    hospital: Hospital, tmp_path: Path, field: str, fault: str, content: str
) -> None:
    other = tmp_path / "other.pem"
    other.write_text(content)
    with pytest.raises(CertificateFileError) as error:
        Certificates(section(hospital, **{field: str(other)}))
    assert str(error.value).startswith(f"receiver.tls.{field}: {other}: {fault}")


def test_the_key_of_another_certificate_is_named(hospital: Hospital) -> None:
    with pytest.raises(CertificateFileError, match=r"tls\.key: .*not the key of the certificate"):
        Certificates(section(hospital, key=str(hospital.ct01.key)))


def test_a_key_with_a_password_is_named_and_nobody_is_asked_for_it(
    hospital: Hospital, tmp_path: Path
) -> None:
    encrypted = tmp_path / "encrypted.key"
    openssl(
        "pkey", "-in", hospital.receiver.key, "-aes256", "-passout", "pass:x", "-out", encrypted
    )
    with pytest.raises(CertificateFileError, match=r"tls\.key: .*encrypted with a password"):
        Certificates(section(hospital, key=str(encrypted)))


def test_files_are_read_again_and_bad_ones_leave_the_old_in_force(
    hospital: Hospital, tmp_path: Path
) -> None:
    certificates = Certificates(section(hospital))
    before = certificates.context
    with pytest.raises(CertificateFileError):
        certificates.reload(section(hospital, key=str(tmp_path / "missing.pem")))
    assert certificates.context is before
    certificates.reload(section(hospital))
    assert certificates.context is not before


def test_paths_are_relative_to_the_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text(
        '[receiver.tls]\ncertificate = "a.crt"\nkey = "/etc/b.key"\nclient_ca = "c.crt"'
    )
    tls = load(file).receiver.tls
    assert tls is not None
    assert tls.certificate == tmp_path / "a.crt"
    assert tls.key == Path("/etc/b.key")
    assert tls.client_ca == tmp_path / "c.crt"


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"plain": False}, "needs"),
        ({"port": 2762, "tls": {"certificate": "a", "key": "b"}}, "both 2762"),
    ],
)
def test_ports_that_cannot_be_are_faults(values: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        Receiver.model_validate(values)


def test_the_plain_port_can_be_switched_off() -> None:
    tls = {"certificate": "a", "key": "b"}
    assert Receiver.model_validate({"plain": False, "tls": tls}).served_port == 2762
    assert Receiver.model_validate({"tls": tls}).served_port == 11112
