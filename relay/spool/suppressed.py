"""Addresses that no mail is taken for, each for a time, with the reply that says why.

The deliverer enters them, receivers look, an administrator lists and changes them.
"""

from msgspec import Struct

from relay.smtp.address import MAX_ADDRESS_BYTES

REPLY_MAX = 300
"""Characters of what was said: clients get it on one line of SMTP (512 octets, RFC 5321 section 4.5.3.1.5)."""


class Suppressed(Struct, frozen=True, array_like=True):
    """Why, since when and until when; seconds since the epoch."""

    since: float
    until: float
    reply: str
    """What was said first."""

    def is_over(self, now: float) -> bool:
        """Whether mail for it is taken again."""
        return now >= self.until


def key_of(address: bytes) -> bytes:
    """An address as it stands in the table: in lower case, as routes compare them."""
    return address.lower()[:MAX_ADDRESS_BYTES]
