"""A mail's claim to its idempotency key: who may have it, and what makes a mail the same one.

Hashes only, made by whoever submits the mail: the spool compares them (`claims`), and keeps no
key, name or address in clear. Without I/O.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

NAME_BYTES = CONTENT_BYTES = 16
MARK_BYTES = 8
"""Of one recipient. They are compared between mails of one key only, so two that look alike are no risk."""
MARKS_MAX = 64
"""Recipients that are told apart in a row (512 bytes); of more only whether they are the same ones."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a mail claims, and how long others have."""

    name: bytes
    """Of the key, its client's name in it (`name_of`)."""
    content: bytes
    """Of what the mail says (CONTENT_BYTES)."""
    recipients: bytes
    """Whom it goes to (`marks_of`)."""
    oldest: int
    """Mails with ids below it have lost their keys: the window is over."""
    most: int
    """Keys that are kept."""


def name_of(client: str, address: str, key: str) -> bytes:
    """One for each key of each client: of its name where it has one, else of its address."""
    whose = b"n" + client.encode() if client else b"a" + address.encode()
    # The length keeps apart what would else run together.
    return blake2b(b"%d:%b%b" % (len(whose), whose, key.encode()), digest_size=NAME_BYTES).digest()


def marks_of(addresses: Sequence[bytes]) -> bytes:
    """Whom a mail goes to, in any order and as routes compare them, in lower case."""
    marks = sorted({blake2b(each.lower(), digest_size=MARK_BYTES).digest() for each in addresses})
    if len(marks) <= MARKS_MAX:
        return b"".join(marks)
    return blake2b(b"".join(marks), digest_size=MARK_BYTES + 1).digest()


def covers(first: bytes, later: bytes) -> bool:
    """Had the first mail all recipients of the later one? One that is refused now may have been taken then."""
    if first == later:
        return True
    if len(first) % MARK_BYTES or len(later) % MARK_BYTES:
        return False
    return set(_marks(later)) <= set(_marks(first))


def _marks(joined: bytes) -> list[bytes]:
    return [joined[at : at + MARK_BYTES] for at in range(0, len(joined), MARK_BYTES)]
