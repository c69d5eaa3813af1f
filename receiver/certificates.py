"""Our TLS certificate and whom we trust: the rules of every handshake, from files that may change.

PS3.15 B.12 (BCP 195): TLS 1.2 and 1.3 only, with forward secrecy and authenticated encryption.
"""

import ssl
from pathlib import Path

from shared.settings.sections import Receiver, Tls

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!aPSK"  # those of TLS 1.3 are all of this kind


class CertificateFileError(Exception):
    """A file that the settings name cannot be used; the message has the field, the file, why."""

    def __init__(self, field: str, path: Path, fault: str) -> None:
        super().__init__(f"receiver.tls.{field}: {path}: {fault}")


class Certificates:
    """Handshakes that begin use what was read last; those under way are not disturbed.

    Raises (on creation):
        CertificateFileError: see `reload`.
    """

    def __init__(self, settings: Tls) -> None:
        self.context = _context(settings)

    @classmethod
    def of(cls, settings: Receiver) -> "Certificates | None":
        """None where TLS is off.

        Raises:
            CertificateFileError: see `reload`.
        """
        return None if settings.tls is None else cls(settings.tls)

    def reload(self, settings: Tls) -> None:
        """Reads the files again.

        Raises:
            CertificateFileError: one cannot be used; what was in force stays.
        """
        self.context = _context(settings)


def _context(settings: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    # No session is taken up again: each handshake shows a certificate, judged as it is now.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    # An end of TCP without one of TLS is no fault here: DICOM has an end of its own. And the
    # watchdog's end of receiving looks like one, after which an A-ABORT can still be sent.
    # (OpenSSL before 3.0 has no such option, and never minded.)
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    _load_own(context, settings)
    if settings.client_ca is not None:
        _load_trusted(context, "client_ca", settings.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _load_own(context: ssl.SSLContext, settings: Tls) -> None:
    _load_trusted(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "certificate", settings.certificate)
    _check_readable("key", settings.key)
    try:
        context.load_cert_chain(settings.certificate, settings.key, _no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            fault = "not the key of the certificate"
        else:
            fault = f"no private key that can be used: {error.reason or error}"
        raise CertificateFileError("key", settings.key, fault) from None
    except _EncryptedKeyError:
        raise CertificateFileError("key", settings.key, "encrypted with a password") from None


class _EncryptedKeyError(Exception):
    pass


def _no_password() -> str:
    """Asked for instead of a person at the terminal, for whom everything would wait."""
    raise _EncryptedKeyError


def _load_trusted(context: ssl.SSLContext, field: str, path: Path) -> None:
    _check_readable(field, path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        fault = f"no certificate in PEM: {error.reason or error}"
        raise CertificateFileError(field, path, fault) from None


def _check_readable(field: str, path: Path) -> None:
    """As the `ssl` module does not say which file it means."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise CertificateFileError(field, path, error.strerror or "cannot be read") from None
