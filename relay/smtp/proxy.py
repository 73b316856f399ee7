"""The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): a proxy says whose connection it passes on.

The header comes before everything else, a TLS handshake too, so nothing behind it may
be read: `parse_proxy` says how many bytes are surely still the header's. What a header
carries besides addresses (TLVs) is passed over; a CRC32C among it is checked.
"""

from ipaddress import AddressValueError, IPv4Address, IPv6Address

from msgspec import Struct

from relay.errors import ProtocolError

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1_MAX_BYTES = 107
"""Section 2.1: the longest line, with its CRLF."""
V1_MIN_BYTES = 15
"""`PROXY UNKNOWN` CRLF."""
V2_MAX_BYTES = 2_048
"""Addresses take 36 bytes; what load balancers add, some hundred. The protocol would allow 64 KiB."""
V2_HEAD_BYTES = 16
_V1 = b"PROXY "
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6 = 0x00, 0x11, 0x21
_ADDRESS_BYTES = {_UNSPECIFIED: 0, _TCP4: 12, _TCP6: 36}
_TYPE_CRC32C = 0x03


class Proxied(Struct, frozen=True):
    """A whole header."""

    client: str
    """Whose connection it is; empty: the proxy's own, as when it looks whether we live."""


class Needs(Struct, frozen=True):
    """So many bytes more belong to the header for certain."""

    count: int


def parse_proxy(data: bytes) -> Proxied | Needs:
    """What has come so far, never more than was asked for; ProtocolError for what is no header."""
    if data[:1] == b"P":
        return _parse_v1(data)
    if len(data) < V2_HEAD_BYTES:
        if not SIGNATURE.startswith(data[: len(SIGNATURE)]):
            raise ProtocolError("no PROXY header")
        # What tells the versions apart; then the rest of either's shortest.
        return Needs(1 if not data else V2_HEAD_BYTES - len(data))
    if not data.startswith(SIGNATURE):
        raise ProtocolError("no PROXY header")
    end = V2_HEAD_BYTES + int.from_bytes(data[14:16])
    if end > V2_MAX_BYTES:
        raise ProtocolError(f"a PROXY header of {end} bytes exceeds {V2_MAX_BYTES}")
    return _parse_v2(data[:end]) if len(data) >= end else Needs(end - len(data))


def _parse_v1(data: bytes) -> Proxied | Needs:
    if not (data.startswith(_V1) or _V1.startswith(data)):
        raise ProtocolError("no PROXY header")
    line, newline, _ = data.partition(b"\n")
    if not newline:
        if len(data) >= V1_MAX_BYTES:
            raise ProtocolError(f"a PROXY line exceeds {V1_MAX_BYTES} bytes")
        return Needs(max(V1_MIN_BYTES - len(data), 1 if data.endswith(b"\r") or len(data) == 106 else 2))
    if not line.endswith(b"\r"):
        raise ProtocolError("a PROXY line without CRLF")
    words = line[:-1].split(b" ")
    if words[1] == b"UNKNOWN":
        return Proxied("")
    # A scope ("fe80::1%eth0") is a name on another machine.
    if len(words) != 6 or b"%" in line or not (_is_port(words[4]) and _is_port(words[5])):
        raise ProtocolError("a malformed PROXY line")
    try:
        match words[1]:
            case b"TCP4":
                client, _ = (IPv4Address(word.decode("ascii")) for word in words[2:4])
                return Proxied(str(client))
            case b"TCP6":
                source, _ = (IPv6Address(word.decode("ascii")) for word in words[2:4])
                return Proxied(_text(source))
    except (AddressValueError, UnicodeDecodeError):
        pass
    raise ProtocolError("a malformed PROXY line")


def _parse_v2(header: bytes) -> Proxied:
    command, family = header[12], header[13]
    if command == _LOCAL:
        return Proxied("")
    size = _ADDRESS_BYTES.get(family)
    if command != _PROXY or size is None:
        raise ProtocolError("a PROXY header of another kind")
    addresses = header[V2_HEAD_BYTES : V2_HEAD_BYTES + size]
    if len(addresses) < size:
        raise ProtocolError("a PROXY header that ends within its addresses")
    _check_tlvs(header, V2_HEAD_BYTES + size)
    match family:
        case 0x11:
            return Proxied(str(IPv4Address(addresses[:4])))
        case 0x21:
            return Proxied(_text(IPv6Address(addresses[:16])))
    return Proxied("")


def _check_tlvs(header: bytes, start: int) -> None:
    """Section 2.2: type, length in two bytes, value, up to the end."""
    while start < len(header):
        end = start + 3 + int.from_bytes(header[start + 1 : start + 3])
        if start + 3 > len(header) or end > len(header):
            raise ProtocolError("a PROXY header that ends within a TLV")
        if header[start] == _TYPE_CRC32C:
            if end - start != 7:
                raise ProtocolError("a PROXY header with a malformed CRC32C")
            zeroed = header[: start + 3] + bytes(4) + header[end:]
            if crc32c(zeroed) != int.from_bytes(header[start + 3 : end]):
                raise ProtocolError("a PROXY header whose CRC32C does not fit")
        start = end


def crc32c(data: bytes) -> int:
    """CRC-32C (RFC 3720 appendix B.4)."""
    value = 0xFFFFFFFF
    for octet in data:
        value = _TABLE[(value ^ octet) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _entry(octet: int) -> int:
    for _ in range(8):
        octet = octet >> 1 ^ (0x82F63B78 if octet & 1 else 0)
    return octet


_TABLE = tuple(map(_entry, range(256)))


def _is_port(text: bytes) -> bool:
    return text.isdigit() and len(text) <= 5 and int(text) <= 65_535 and str(int(text)).encode() == text


def _text(address: IPv6Address) -> str:
    """An IPv4 address that a proxy maps into IPv6 is itself."""
    return str(address.ipv4_mapped or address)
