"""The receiver's certificate and whom it trusts: the rules of every handshake of its port."""

import ssl

from shared.certificate_files import load_own, load_trusted, restricted
from shared.settings.receiving import Receiver
from shared.settings.tls import Tls

_SECTION = "receiver.tls"


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
    context = restricted(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    # No session is taken up again: each handshake shows a certificate, judged as it is now.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    load_own(context, _SECTION, settings.certificate, settings.key)
    if settings.client_ca is not None:
        load_trusted(context, f"{_SECTION}.client_ca", settings.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
