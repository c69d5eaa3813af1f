"""Whose a certificate is, in the words that the settings use, and what that allows."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

# Of attribute types, as in RFC 4514, section 3; `ssl` gives the long ones.
_SHORT = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
_SPECIAL = frozenset('\\,+"<>;')


def names(certificate: Mapping[str, Any]) -> frozenset[str]:
    """What a certificate, as `SSLSocket.getpeercert` gives it, may be called by.

    Its subject as in RFC 4514 (`"CN=ct01,O=Hospital,C=DE"`), each common name alone (`"CN=ct01"`),
    and each alternative name (`"DNS:ct01.hospital.example"`).
    """
    subject = certificate.get("subject", ())
    common = [
        f"CN={_escaped(value)}" for part in subject for kind, value in part if kind == "commonName"
    ]
    alternative = [f"{kind}:{value}" for kind, value in certificate.get("subjectAltName", ())]
    return frozenset([_distinguished_name(subject), *common, *alternative])


def allows(
    certificate_names: Collection[str],
    calling_ae_title: str,
    allowed_calling: Mapping[str, Iterable[str]],
) -> bool:
    """Whether who has these names may use this title. Without a list for anybody, anybody may."""
    return not allowed_calling or any(
        calling_ae_title in titles
        for name, titles in allowed_calling.items()
        if name in certificate_names
    )


def _distinguished_name(subject: Iterable[Iterable[tuple[str, str]]]) -> str:
    """The last part first (RFC 4514 2.1)."""
    parts = ["+".join(f"{_SHORT.get(k, k)}={_escaped(v)}" for k, v in part) for part in subject]
    return ",".join(reversed(parts))


def _escaped(value: str) -> str:
    """RFC 4514 2.4."""
    escaped = "".join(f"\\{c}" if c in _SPECIAL else c for c in value)
    if escaped.startswith((" ", "#")):
        escaped = f"\\{escaped}"
    if value.endswith(" ") and len(value) > 1:
        escaped = f"{escaped[:-1]}\\ "
    return escaped
