"""PROXY headers, whole and byte by byte, good, cut and wrong (HAProxy's proxy-protocol.txt)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import ProtocolError
from relay.smtp.proxy import SIGNATURE, V2_MAX_BYTES, Needs, Proxied, crc32c, parse_proxy


def v2(command: int, family: int, payload: bytes) -> bytes:
    return SIGNATURE + bytes((command, family)) + len(payload).to_bytes(2) + payload


TCP4 = bytes((192, 0, 2, 7, 10, 0, 0, 1)) + b"\x12\x34\x00\x19"
TCP6 = bytes.fromhex("20010db8000000000000000000000007") + bytes(16) + b"\x12\x34\x00\x19"
MAPPED = bytes(10) + b"\xff\xff" + bytes((192, 0, 2, 7)) + bytes(16) + b"\x12\x34\x00\x19"
TLV = b"\x04\x00\x03\x00\x00\x00" + b"\x02\x00\x05a.com"


def with_crc(payload: bytes) -> bytes:
    """A header that ends with the TLV of its own check sum."""
    zeroed = v2(0x21, 0x11, payload + b"\x03\x00\x04" + bytes(4))
    return zeroed[:-4] + crc32c(zeroed).to_bytes(4)


GOOD = {
    "v1 tcp4": (b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 25\r\n", "192.0.2.7"),
    "v1 longest tcp4": (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"),
    "v1 tcp6": (b"PROXY TCP6 2001:db8::7 ::1 56324 25\r\n", "2001:db8::7"),
    "v1 longest tcp6": (
        b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ),
    "v1 mapped": (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 0 25\r\n", "192.0.2.7"),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", ""),
    "v1 longest": (b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", ""),
    "v2 tcp4": (v2(0x21, 0x11, TCP4), "192.0.2.7"),
    "v2 tcp6": (v2(0x21, 0x21, TCP6), "2001:db8::7"),
    "v2 mapped": (v2(0x21, 0x21, MAPPED), "192.0.2.7"),
    "v2 tlvs": (v2(0x21, 0x11, TCP4 + TLV), "192.0.2.7"),
    "v2 crc": (with_crc(TCP4 + TLV), "192.0.2.7"),
    "v2 unspecified": (v2(0x21, 0x00, b""), ""),
    "v2 local": (v2(0x20, 0x00, b""), ""),
    "v2 local with junk": (v2(0x20, 0x11, b"junk"), ""),
    "v2 longest": (v2(0x20, 0x00, bytes(V2_MAX_BYTES - 16)), ""),
}  # fmt: skip
BAD = {
    "another protocol": b"EHLO client.example\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefgh",
    "v1 lower case": b"proxy TCP4 192.0.2.7 10.0.0.1 1 25\r\n",
    "v1 another word": b"PROXIES UNKNOWN\r\n",
    "v1 udp": b"PROXY UDP4 192.0.2.7 10.0.0.1 1 25\r\n",
    "v1 two blanks": b"PROXY TCP4  192.0.2.7 10.0.0.1 1 25\r\n",
    "v1 no address": b"PROXY TCP4 here 10.0.0.1 1 25\r\n",
    "v1 wrong family": b"PROXY TCP4 2001:db8::7 ::1 1 25\r\n",
    "v1 a scope": b"PROXY TCP6 fe80::1%eth0 ::1 1 25\r\n",
    "v1 octal": b"PROXY TCP4 192.0.02.7 10.0.0.1 1 25\r\n",
    "v1 large port": b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 25\r\n",
    "v1 port with zeros": b"PROXY TCP4 192.0.2.7 10.0.0.1 007 25\r\n",
    "v1 too few": b"PROXY TCP4 192.0.2.7 10.0.0.1 25\r\n",
    "v1 too many": b"PROXY TCP4 192.0.2.7 10.0.0.1 1 25 x\r\n",
    "v1 bare lf": b"PROXY UNKNOWN x\n",
    "v1 not ascii": b"PROXY TCP4 192.0.2.\xb7 10.0.0.1 1 25\r\n",
    "v1 too long": b"PROXY UNKNOWN " + b"x" * 93,
    "v2 version": v2(0x11, 0x11, TCP4),
    "v2 command": v2(0x22, 0x11, TCP4),
    "v2 udp": v2(0x21, 0x12, TCP4),
    "v2 unix": v2(0x21, 0x31, bytes(216)),
    "v2 short addresses": v2(0x21, 0x11, TCP4[:-1]),
    "v2 cut tlv": v2(0x21, 0x11, TCP4 + TLV[:-1]),
    "v2 cut tlv head": v2(0x21, 0x11, TCP4 + b"\x04\x00"),
    "v2 wrong crc": with_crc(TCP4)[:-1] + b"\0",
    "v2 changed under crc": with_crc(TCP4).replace(b"\x12\x34", b"\x12\x35"),
    "v2 short crc": v2(0x21, 0x11, TCP4 + b"\x03\x00\x02\x00\x00"),
    "v2 too long": v2(0x20, 0x00, bytes(V2_MAX_BYTES - 15)),
}  # fmt: skip


def fed(data: bytes, most: int = 1_000_000) -> tuple[Proxied, int]:
    """The header, read as it asks and `most` bytes at a time; how many bytes were read. EOFError when it asks for more."""
    taken = 0
    while True:
        result = parse_proxy(data[:taken])
        if isinstance(result, Proxied):
            return result, taken
        assert result.count > 0
        if taken == len(data):
            raise EOFError
        taken = min(len(data), taken + min(result.count, most))


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("most", [1, 2, 5, 1_000_000])
def test_a_header_is_read_and_no_byte_behind_it(name: str, most: int) -> None:
    header, client = GOOD[name]
    assert fed(header + b"\x16\x03\x01 what follows", most) == (Proxied(client), len(header))


@pytest.mark.parametrize("name", GOOD)
def test_a_header_that_is_cut_is_waited_for(name: str) -> None:
    header, _ = GOOD[name]
    for end in range(len(header)):
        assert isinstance(parse_proxy(header[:end]), Needs)
        with pytest.raises(EOFError):
            fed(header[:end])


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("most", [1, 3, 1_000_000])
def test_what_is_no_header_is_refused_within_its_bound(name: str, most: int) -> None:
    with pytest.raises(ProtocolError):
        fed(BAD[name], most)


@given(
    st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11\x00\x40"]),
    st.binary(max_size=150),
)
def test_any_bytes_are_a_header_a_wait_or_an_error(start: bytes, rest: bytes) -> None:
    try:
        result, taken = fed(start + rest)
    except (ProtocolError, EOFError):
        return
    assert taken <= V2_MAX_BYTES and isinstance(result, Proxied)


def test_the_check_sum_is_that_of_rfc_3720() -> None:
    # Appendix B.4: 32 bytes of zeros, of ones, rising.
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
