"""How a mail is brought into one shape before it is hashed (RFC 6376 section 3.4).

Header and body are chosen apart. The bytes are moved by the native part: `BodyHash`
while a mail comes in, `FieldSelection` for its header. Here stands what the two
are called, and the hash of a body that is whole already.
"""

from enum import Enum

from relay._fastpath import BodyHash


class Canonicalization(Enum):
    """As c= names it."""

    SIMPLE = "simple"
    """Tolerates nothing but empty lines at the end of the body."""
    RELAXED = "relaxed"
    """Tolerates changed white space, folding and case of field names, as mail gateways like to change them."""


def body_hash(body: bytes | bytearray | memoryview, mode: Canonicalization) -> bytes:
    """The SHA-256 that bh= says, of a body in one piece."""
    is_relaxed = mode is Canonicalization.RELAXED
    hashing = BodyHash(simple=not is_relaxed, relaxed=is_relaxed)
    hashing.feed_body(body)
    return digest(hashing, mode)


def digest(hashing: BodyHash, mode: Canonicalization) -> bytes:
    """The body's SHA-256 in this canonicalisation; ValueError when `hashing` was not told to make it."""
    return hashing.relaxed_digest() if mode is Canonicalization.RELAXED else hashing.simple_digest()
