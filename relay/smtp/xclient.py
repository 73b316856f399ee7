"""XCLIENT: a proxy says for whom it speaks (Postfix's XCLIENT_README).

The attributes are ADDR, NAME, PROTO, HELO and LOGIN. NAME is read over, as nothing here
trusts a name, and so is LOGIN: who a client is, it proves to us. A client whose address
the proxy does not know (`[UNAVAILABLE]`, `[TEMPUNAVAIL]`) cannot be judged: the command
is refused.
"""

from ipaddress import AddressValueError, IPv4Address, IPv6Address

from msgspec import Struct

from relay.smtp.command import decode_xtext, is_domain_argument
from relay.smtp.reply import Reply

ATTRIBUTES = ("NAME", "ADDR", "PROTO", "HELO", "LOGIN")
UNKNOWN = (b"[UNAVAILABLE]", b"[TEMPUNAVAIL]")
VALUE_MAX_BYTES = 255
"""Of one value, decoded, as in Postfix."""


class XClient(Struct, frozen=True):
    """The client that a proxy speaks for. Wants an answer: 220, and the session begins anew for this client."""

    address: str
    """Empty: as before."""
    helo: bytes = b""
    """What it has said already, empty when that is not known."""
    is_extended: bool = False
    """It said EHLO."""


def parse_xclient(text: bytes) -> XClient | Reply:
    """What follows `XCLIENT `."""
    values: dict[bytes, bytes] = {}
    for word in text.split():
        name, equals, value = word.partition(b"=")
        name = name.upper()
        if not equals or name.decode("ascii", "replace") not in ATTRIBUTES or name in values:
            return _SYNTAX
        try:
            decoded = decode_xtext(value)
        except ValueError:
            return _SYNTAX
        if not decoded or len(decoded) > VALUE_MAX_BYTES:
            return _SYNTAX
        values[name] = decoded
    return _client(values) if values else _SYNTAX


def _client(values: dict[bytes, bytes]) -> XClient | Reply:
    address = ""
    if (given := values.get(b"ADDR")) is not None:
        found = _address(given)
        if found is None:
            return _BAD_ADDRESS
        address = found
    protocol = values.get(b"PROTO", b"SMTP").upper()
    helo = values.get(b"HELO", b"")
    if protocol not in (b"SMTP", b"ESMTP"):
        return _SYNTAX
    if helo in UNKNOWN:
        helo = b""
    if helo and not is_domain_argument(helo):
        return _SYNTAX
    return XClient(address, helo, bool(helo) and protocol == b"ESMTP")


def _address(text: bytes) -> str | None:
    try:
        if text[:5].upper() == b"IPV6:":
            # A scope ("fe80::1%eth0") is a name on another machine, and could be any text.
            return None if b"%" in text else str(IPv6Address(text[5:].decode("ascii")))
        return str(IPv4Address(text.decode("ascii")))
    except (AddressValueError, UnicodeDecodeError):
        return None


_SYNTAX = Reply(501, "5.5.4", "Syntax: XCLIENT attribute=value ...")
_BAD_ADDRESS = Reply(501, "5.5.4", "ADDR is no address, and a client without one is not served")
