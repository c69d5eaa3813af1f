import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.proxy_header import (
    MAX_REST,
    PREFIX_SIZE,
    ProxyHeaderError,
    rest_length,
    source_address,
)
from tests.support.proxy import SIGNATURE, header, local, tcp4, tcp6


def parsed(data: bytes) -> str | None:
    prefix, rest = data[:PREFIX_SIZE], data[PREFIX_SIZE:]
    assert rest_length(prefix) == len(rest)
    return source_address(prefix, rest)


def test_an_example_byte_by_byte() -> None:
    example = (
        b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
        b"\x21\x11\x00\x0c"
        b"\x0a\x01\x02\x03\xc0\xa8\x00\x0b"
        b"\x9c\x40\x2b\x68"
    )
    assert parsed(example) == "10.1.2.3"
    assert example == tcp4("10.1.2.3")


def test_the_source_of_an_ipv6_connection() -> None:
    assert parsed(tcp6("2001:db8::7")) == "2001:db8::7"


def test_what_follows_the_addresses_is_passed_over() -> None:
    tlvs = b"\x04\x00\x03abc" + b"\x03\x00\x04crc!"
    assert parsed(tcp4("10.1.2.3", tlvs)) == "10.1.2.3"


@pytest.mark.parametrize("family", [0x00, 0x11, 0x31, 0xFF])
def test_local_is_the_proxys_own_connection_whatever_follows(family: int) -> None:
    assert parsed(header(0x20, family, b"")) is None
    assert parsed(header(0x20, family, bytes(300))) is None
    assert parsed(local()) is None


@pytest.mark.parametrize("family", [0x00, 0x01, 0x10, 0x12, 0x22, 0x31, 0x32])
def test_a_family_without_an_address_of_use_leaves_the_connections_own(family: int) -> None:
    assert parsed(header(0x21, family, bytes(216))) is None


@pytest.mark.parametrize("family", [0x13, 0x1F, 0x41, 0xF1, 0xFF])
def test_a_family_or_transport_that_is_unspecified_is_a_fault(family: int) -> None:
    with pytest.raises(ProxyHeaderError):
        parsed(header(0x21, family, bytes(216)))


@pytest.mark.parametrize("version_and_command", [0x11, 0x31, 0x22, 0x2F, 0x00, 0xFF])
def test_another_version_or_command_is_a_fault(version_and_command: int) -> None:
    with pytest.raises(ProxyHeaderError):
        rest_length(header(version_and_command, 0x11, bytes(12))[:PREFIX_SIZE])


@pytest.mark.parametrize(("family", "needed"), [(0x11, 12), (0x21, 36)])
def test_addresses_that_do_not_fit_are_a_fault(family: int, needed: int) -> None:
    with pytest.raises(ProxyHeaderError, match="too short"):
        parsed(header(0x21, family, bytes(needed - 1)))
    assert parsed(header(0x21, family, bytes(needed)))


def test_a_header_is_bounded() -> None:
    assert rest_length(SIGNATURE + struct.pack(">BBH", 0x21, 0x11, MAX_REST)) == MAX_REST
    with pytest.raises(ProxyHeaderError, match="over"):
        rest_length(SIGNATURE + struct.pack(">BBH", 0x21, 0x11, MAX_REST + 1))


@pytest.mark.parametrize(
    "data", [b"PROXY TCP4 10.1.2.3 1", b"\x01\x00\x00\x00\x01\x00" + bytes(20), bytes(16)]
)
def test_anything_else_is_a_fault(data: bytes) -> None:
    with pytest.raises(ProxyHeaderError, match="signature"):
        rest_length(data[:PREFIX_SIZE])


def test_a_rest_of_another_length_is_a_fault() -> None:
    whole = tcp4("10.1.2.3")
    with pytest.raises(ProxyHeaderError):
        source_address(whole[:PREFIX_SIZE], whole[PREFIX_SIZE:-1])


@given(st.binary(min_size=4, max_size=4), st.binary(max_size=400))
def test_any_bytes_are_an_address_none_or_a_fault(tail: bytes, rest: bytes) -> None:
    try:
        address = source_address(SIGNATURE + tail, rest)
    except ProxyHeaderError:
        return
    if address is not None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        socket.inet_pton(family, address)
