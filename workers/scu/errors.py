"""How an association as requestor fails."""

import ssl

from shared.upper_layer.pdu import AssociateReject


class ScuError(Exception):
    """The send cannot go on; what was not confirmed has to be sent again."""


class ConnectError(ScuError):
    """No TCP connection to the peer."""


class TlsError(ScuError):
    """The connection is not secured: one side does not like the other's certificate, say."""


class RejectedError(ScuError):
    """The peer answered with A-ASSOCIATE-RJ."""

    def __init__(self, reject: AssociateReject) -> None:
        super().__init__(reject.describe())
        self.reject = reject


class AssociationLostError(ScuError):
    """Aborted, reset, silent past the deadline, or against the protocol."""


class SilentError(AssociationLostError):
    """The peer says nothing for as long as it may."""


class NotAcceptedError(Exception):
    """The peer took no presentation context for this SOP class in this transfer syntax."""


def in_words(error: OSError) -> str:
    """What happened, and of certificates also what to do about it."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _OF_THEIRS.get(
            error.verify_code, f"its certificate is not trusted: {error.verify_message}"
        )
    if isinstance(error, ssl.SSLError):
        return _OF_OURS.get(error.reason or "", f"TLS: {error.reason or error}")
    return error.strerror or str(error)


# By OpenSSL's X509_V_ERR codes.
_UNKNOWN_AUTHORITY = (
    "its certificate is of an authority that we do not trust: name the right one in tls.ca"
)
_OTHER_HOST = (
    "its certificate is for another host name: correct host, or set tls.verify_host_name = false"
)
_OF_THEIRS = {
    9: "its certificate is not valid yet: compare the clocks",
    10: "its certificate has expired: it needs a new one",
    18: f"{_UNKNOWN_AUTHORITY} (it is signed by itself)",
    19: _UNKNOWN_AUTHORITY,
    20: _UNKNOWN_AUTHORITY,
    21: _UNKNOWN_AUTHORITY,
    62: _OTHER_HOST,
    64: _OTHER_HOST,
}
# By the alert that the peer sent (RFC 8446 6.2), in OpenSSL's names.
_NO_CERTIFICATE = "it wants a certificate of us: set tls.certificate and tls.key"
_NOT_OURS = "it does not take our certificate"
_OF_OURS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _NO_CERTIFICATE,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "it ended the TLS handshake: it may want a certificate of us (tls.certificate, tls.key),"
        " or has no cipher suite of PS3.15 B.12"
    ),
    "TLSV1_ALERT_UNKNOWN_CA": f"{_NOT_OURS}: it does not trust who signed it",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": f"{_NOT_OURS}: it has expired",
    "SSLV3_ALERT_BAD_CERTIFICATE": _NOT_OURS,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _NOT_OURS,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": f"{_NOT_OURS}: it is revoked",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _NOT_OURS,
    "TLSV1_ALERT_ACCESS_DENIED": _NOT_OURS,
    "TLSV1_ALERT_PROTOCOL_VERSION": "it speaks neither TLS 1.2 nor 1.3",
    "UNSUPPORTED_PROTOCOL": "it speaks neither TLS 1.2 nor 1.3",
    "WRONG_VERSION_NUMBER": "it does not speak TLS on this port",
}
