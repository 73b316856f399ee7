"""Paths: what stands between the angle brackets (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

A path is checked, cut out and kept as the bytes that came. Deviations, on purpose:
a source route is dropped (RFC 5321 appendix C: "SHOULD be stripped"); an underscore
may stand in a domain (machines inside a company have such names and send mail); a
local part may exceed 64 bytes (VERP and SRS do), the whole address 320 not.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

MAX_ADDRESS_BYTES = 320
"""A local part of 64, `@` and a domain of 255 (RFC 5321 section 4.5.3.1)."""
MAX_DOMAIN_BYTES = 255


class Path(NamedTuple):
    """`address` without brackets and source route, empty for `<>`; `end` is the index after `>`."""

    address: bytes
    end: int


def parse_path(text: bytes, start: int = 0) -> Path | None:
    """The path that begins at `start`, or None when none does. May hold UTF-8: the caller looks whether it may."""
    pattern = _PATH if text.isascii() else _PATH_UTF8
    match = pattern.match(text, start)
    if match is None:
        return None
    address, literal = match.groups()
    if address is None:
        return Path(b"", match.end())
    if len(address) > MAX_ADDRESS_BYTES or len(address) - address.rfind(b"@") > MAX_DOMAIN_BYTES + 1:
        return None
    if literal is not None and not is_literal(literal):
        return None
    return Path(address, match.end()) if _is_text(address) else None


def is_literal(literal: bytes) -> bool:
    """Is this, without its square brackets, an address literal (RFC 5321 section 4.1.3)?"""
    try:
        if literal[:5].upper() == b"IPV6:":
            IPv6Address(literal[5:].decode("ascii"))
        else:
            IPv4Address(literal.decode("ascii"))
    except (AddressValueError, UnicodeDecodeError):
        # General-address-literal needs a tag registered with IANA, and none is but IPv6.
        return False
    return True


def _is_text(address: bytes) -> bool:
    """Is it UTF-8 (RFC 6532 section 3.1), without the controls that UTF-8 can also write?"""
    if address.isascii():
        return True
    try:
        return address.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _compile(high: bytes) -> re.Pattern[bytes]:
    """The grammar, with `high` the bytes it allows above ASCII. No two alternatives begin alike: linear time."""
    atom = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~" + high + rb"-]+"
    dot_string = atom + rb"(?:\." + atom + rb")*"
    quoted = rb'"(?:[\x20\x21\x23-\x5b\x5d-\x7e' + high + rb"]|\\[\x20-\x7e])*" + rb'"'
    alnum = rb"A-Za-z0-9_" + high
    label = rb"[" + alnum + rb"](?:[" + alnum + rb"-]{0,61}[" + alnum + rb"])?"
    domain = label + rb"(?:\." + label + rb")*"
    literal = rb"\[([A-Za-z0-9:.]{1,64})\]"
    source_route = rb"(?:@" + domain + rb"(?:,@" + domain + rb")*:)?"
    mailbox = rb"(?:" + dot_string + rb"|" + quoted + rb")@(?:" + domain + rb"|" + literal + rb")"
    # RFC 5321 section 4.5.1: postmaster, in any case and without a domain, must be accepted as a recipient.
    postmaster = rb"[Pp][Oo][Ss][Tt][Mm][Aa][Ss][Tt][Ee][Rr]"
    return re.compile(rb"<(?:" + source_route + rb"(" + mailbox + rb"|" + postmaster + rb"))?>")


_PATH = _compile(b"")
_PATH_UTF8 = _compile(rb"\x80-\xff")
