"""The PROXY protocol, version 2: what a load balancer says of the peer whose connection it relays.

HAProxy's `proxy-protocol.txt`, section 2.2. Version 1, which is text, is not spoken.
"""

from ipaddress import ip_address
from struct import Struct
from typing import Final

PREFIX_SIZE: Final = 16
MAX_REST: Final = 4096  # addresses take 216 bytes at most; the others are TLVs, which are ignored

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_PREFIX = Struct(">12sBBH")  # signature; version and command; family and transport; length of rest
_VERSION = 0x20
_LOCAL, _PROXY = 0x0, 0x1
_STREAM = 0x1
# Bytes of an address, by family: AF_INET and AF_INET6. AF_UNSPEC and AF_UNIX are valid, and so is
# a datagram, but say nothing that could be used here: "UNSPEC mode".
_ADDRESS_LENGTHS = {0x1: 4, 0x2: 16}
_MAX_FAMILY, _MAX_TRANSPORT = 0x3, 0x2
_PORTS = 4  # bytes: of source and destination


class ProxyHeaderError(Exception):
    """Not a header of the PROXY protocol, version 2; the connection is to be closed."""


def rest_length(prefix: bytes) -> int:
    """How many bytes follow the first 16 of a header.

    Raises:
        ProxyHeaderError: it is none, or longer than we take.
    """
    signature, version_and_command, _, length = _PREFIX.unpack(prefix)
    if signature != _SIGNATURE:
        raise ProxyHeaderError("no signature of the PROXY protocol, version 2")
    if version_and_command not in (_VERSION | _LOCAL, _VERSION | _PROXY):
        raise ProxyHeaderError(f"version and command {version_and_command:02X}H")
    if length > MAX_REST:
        raise ProxyHeaderError(f"{length} bytes of addresses and TLVs, over {MAX_REST}")
    return int(length)


def source_address(prefix: bytes, rest: bytes) -> str | None:
    """The relayed peer's IP address; None: the connection's own counts.

    That is for LOCAL, which the proxy uses to ask for our health, and for families without an IP
    address.

    Raises:
        ProxyHeaderError: the two are not a whole header.
    """
    if rest_length(prefix) != len(rest):
        raise ProxyHeaderError(f"{len(rest)} bytes of addresses and TLVs")
    _, version_and_command, family_and_transport, _ = _PREFIX.unpack(prefix)
    if version_and_command == _VERSION | _LOCAL:
        return None
    family, transport = divmod(family_and_transport, 16)
    if family > _MAX_FAMILY or transport > _MAX_TRANSPORT:
        raise ProxyHeaderError(f"address family and transport {family_and_transport:02X}H")
    if family not in _ADDRESS_LENGTHS or transport != _STREAM:
        return None
    length = _ADDRESS_LENGTHS[family]
    if len(rest) < 2 * length + _PORTS:
        raise ProxyHeaderError(f"{len(rest)} bytes, too short for its addresses")
    return str(ip_address(rest[:length]))
