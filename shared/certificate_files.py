"""TLS contexts and the files that go into them, the same for who is called and for who calls.

PS3.15 B.12 (BCP 195): TLS 1.2 and 1.3 only, with forward secrecy and authenticated encryption.
"""

import ssl
from pathlib import Path

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!aPSK"  # those of TLS 1.3 are all of this kind


class CertificateFileError(Exception):
    """A file that the settings name cannot be used; the message has the field, the file, why."""

    def __init__(self, field: str, path: Path, fault: str) -> None:
        super().__init__(f"{field}: {path}: {fault}")


class _EncryptedKeyError(Exception):
    pass


def restricted(protocol: int) -> ssl.SSLContext:
    """A context of `ssl.PROTOCOL_TLS_SERVER` or `_CLIENT` by the profile."""
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    # An end of TCP without one of TLS is no fault here: DICOM has an end of its own. And the
    # end of receiving by a watchdog looks like one, after which an A-ABORT can still be sent.
    # (OpenSSL before 3.0 has no such option, and never minded.)
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


def load_own(context: ssl.SSLContext, section: str, certificate: Path, key: Path) -> None:
    """What we show; `section` is that of the settings with `certificate` and `key`.

    Raises:
        CertificateFileError: one of the files cannot be used.
    """
    load_trusted(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), f"{section}.certificate", certificate)
    field = f"{section}.key"
    _check_readable(field, key)
    try:
        context.load_cert_chain(certificate, key, _no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            fault = "not the key of the certificate"
        else:
            fault = f"no private key that can be used: {error.reason or error}"
        raise CertificateFileError(field, key, fault) from None
    except _EncryptedKeyError:
        raise CertificateFileError(field, key, "encrypted with a password") from None


def load_trusted(context: ssl.SSLContext, field: str, path: Path) -> None:
    """Whom we believe; `field` is the setting that names the file.

    Raises:
        CertificateFileError: the file cannot be used.
    """
    _check_readable(field, path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        fault = f"no certificate in PEM: {error.reason or error}"
        raise CertificateFileError(field, path, fault) from None


def _no_password() -> str:
    """Asked for instead of a person at the terminal, for whom everything would wait."""
    raise _EncryptedKeyError


def _check_readable(field: str, path: Path) -> None:
    """As the `ssl` module does not say which file it means."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise CertificateFileError(field, path, error.strerror or "cannot be read") from None
