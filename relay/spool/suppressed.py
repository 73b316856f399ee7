"""Addresses that no mail is taken for, each for a time, with the reply that says why.

The deliverer enters them, receivers look, an administrator lists and changes them.
"""

from msgspec import Struct

from relay.smtp.address import MAX_ADDRESS_BYTES


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
