"""Headers of the PROXY protocol, version 2, as a load balancer sends them."""

import socket
import struct

SIGNATURE = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
_PORTS = struct.pack(">HH", 40000, 11112)


def header(version_and_command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + struct.pack(">BBH", version_and_command, family, len(rest)) + rest


def tcp4(source: str, tlvs: bytes = b"") -> bytes:
    addresses = socket.inet_aton(source) + socket.inet_aton("192.168.0.11")
    return header(0x21, 0x11, addresses + _PORTS + tlvs)


def tcp6(source: str) -> bytes:
    addresses = b"".join(socket.inet_pton(socket.AF_INET6, a) for a in (source, "2001:db8::1"))
    return header(0x21, 0x21, addresses + _PORTS)


def local() -> bytes:
    return header(0x20, 0x00, b"")
