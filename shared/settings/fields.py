"""The kinds of value that settings are made of, each with its rule and a clear error."""

import re
from ipaddress import ip_address, ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from shared import ae_title
from shared.uid import is_uid

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SIZES = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(kB|MB|GB|TB)")
_RATE = re.compile(r"(\d+)\s*/\s*(s|m|h)")
_CERTIFICATE_NAME = re.compile(r"[A-Za-z0-9.]+=.|[A-Za-z ]+:.")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def parse_duration(value: object) -> float:
    """Seconds of a text like `"30s"`.

    Raises:
        ValueError: it is no such text.
    """
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return float(match[1]) * _UNITS[match[2]]
    raise ValueError('a duration is a number and a unit: "500ms", "30s", "10m", "24h", "7d"')


def format_duration(seconds: float) -> str:
    """The shortest exact text of a duration, as it would stand in the settings file."""
    for unit in ("d", "h", "m", "s"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds / _UNITS[unit]:.0f}{unit}"
    return f"{seconds * 1000:.15g}ms" if seconds else "0s"


def _parse_size(value: object) -> int:
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return round(float(match[1]) * _SIZES[match[2]])
    raise ValueError('a size is a number and a unit: "512kB", "500MB", "2GB", "1TB"')


def format_size(size: int) -> str:
    """The shortest text of a size in bytes, as it would stand in the settings file."""
    unit = max((u for u in _SIZES if size >= _SIZES[u]), key=_SIZES.__getitem__, default="kB")
    return f"{size / _SIZES[unit]:.12g}{unit}"


def _parse_rate(value: object) -> float:
    if isinstance(value, str) and (match := _RATE.fullmatch(value.strip())) and int(match[1]):
        return int(match[1]) / _UNITS[match[2]]
    raise ValueError('a rate is a count over s, m or h: "120/m"')


def _format_rate(per_second: float) -> str:
    return f"{per_second * 3600:.0f}/h"


def _check_ae_title(value: str) -> str:
    if fault := ae_title.fault(value):
        raise ValueError(f"the AE title {fault}")
    return value.strip(" ")


def _check_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a name is 1 to 64 letters, digits, '_', '.' or '-', not '_.-' first")
    return value


def _check_uid(value: str) -> str:
    if not is_uid(value):
        raise ValueError("a UID is 1 to 64 digits and dots")
    return value


def _check_certificate_name(value: str) -> str:
    if not _CERTIFICATE_NAME.match(value):
        raise ValueError(
            'a certificate is named by its common name ("CN=ct01"), its whole subject'
            ' ("CN=ct01,O=Hospital,C=DE") or an alternative name ("DNS:ct01.hospital.example")'
        )
    return value


def _check_network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError as error:
        raise ValueError(f'a network is "address" or "address/prefix": {error}') from None
    return value


def _check_caller(value: str) -> str:
    title, _, network = value.partition("@")
    _check_ae_title(title)
    if "@" in value:
        try:
            ip_network(network)
        except ValueError as error:
            raise ValueError(f'a caller is "TITLE" or "TITLE@address/prefix": {error}') from None
    return value


def _resolve_sop_class(value: str) -> str:
    if value[:1].isdigit():
        return _check_uid(value)
    # The registry is large and only settings with keywords in them need it.
    from shared.sop_classes import uid_of

    uid = uid_of(value)
    if uid is None:
        raise ValueError("neither a UID nor a SOP class keyword of PS3.6 (CTImageStorage, ...)")
    return uid


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there; a name counts by what it says."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def caller_matches(caller: str, calling_ae_title: str, address: str) -> bool:
    """Whether an allowed caller (`"MR02"` or `"MR02@10.1.2.0/24"`) is this peer."""
    title, _, network = caller.partition("@")
    if title.strip(" ") != calling_ae_title:
        return False
    return not network or ip_address(address) in ip_network(network)


Seconds = Annotated[
    float, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)
]
Bytes = Annotated[int, BeforeValidator(_parse_size), PlainSerializer(format_size, return_type=str)]
PerSecond = Annotated[
    float, BeforeValidator(_parse_rate), PlainSerializer(_format_rate, return_type=str)
]
AeTitle = Annotated[str, AfterValidator(_check_ae_title)]
Name = Annotated[str, AfterValidator(_check_name)]
Uid = Annotated[str, AfterValidator(_check_uid)]
CertificateName = Annotated[str, AfterValidator(_check_certificate_name)]
Network = Annotated[str, AfterValidator(_check_network)]
Caller = Annotated[str, AfterValidator(_check_caller)]
SopClass = Annotated[str, AfterValidator(_resolve_sop_class)]
