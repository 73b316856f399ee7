"""Signatures that a mail bears already.

Whether one *looks* valid: it is complete, of our time, and its domain is aligned with
From's. Whether it is valid would take a DNS query and a second look at the body; the
administrator who leaves such mail alone trusts the application that signed it.
"""

import base64
import binascii

from relay.message.dkim import tags
from relay.message.header import Header

MAX_LOOKED_AT = 20
"""Signatures of one mail; a mail that went through several lists has some ten."""
ALGORITHMS = (b"rsa-sha256", b"ed25519-sha256")
"""Not rsa-sha1: RFC 8301 section 3.1."""


def has_aligned_signature(header: Header, from_domain: bytes, now: float) -> bool:
    """Whether one of its DKIM-Signature fields looks valid and is aligned with `from_domain` (RFC 7489 section 3.1.1).

    Aligned: the same domain, or one lies below the other. `now` is seconds since the epoch.
    """
    index = header.scan.find(b"DKIM-Signature")
    for _ in range(MAX_LOOKED_AT):
        if index < 0:
            return False
        if _looks_valid(header.scan.value(index), from_domain, now):
            return True
        index = header.scan.find(b"DKIM-Signature", index + 1)
    return False


def _looks_valid(value: bytes, from_domain: bytes, now: float) -> bool:
    try:
        found = tags.parse(value)
        signed = tags.joined(found[b"h"]).lower().split(b":")
        return (
            found[b"v"] == b"1"
            and found[b"a"].lower() in ALGORITHMS
            and found[b"s"] != b""
            and b"from" in signed
            and _is_aligned(tags.joined(found[b"d"]).lower(), from_domain)
            and _is_base64(found[b"b"])
            and _is_base64(found[b"bh"])
            and int(found.get(b"x", b"99999999999")) > now
        )
    except (KeyError, ValueError):
        return False


def _is_aligned(signer: bytes, author: bytes) -> bool:
    if b"." not in signer:
        return False
    return signer == author or author.endswith(b"." + signer) or signer.endswith(b"." + author)


def _is_base64(value: bytes) -> bool:
    try:
        return base64.b64decode(tags.joined(value), validate=True) != b""
    except binascii.Error:
        return False
