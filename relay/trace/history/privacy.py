"""How much of a recipient's address is kept: all of it, a hash and the domain, or the domain.

The hash is keyed with a random key that lies in the history: who has the file and knows
an address can tell whether it is there, as the relay's own `trace` must; a list of
addresses cannot be had from it without trying each.
"""

import re
from collections.abc import Callable
from hashlib import blake2b

from relay.trace.history.options import Kept

_HASH_BYTES = 8
_ADDRESS = re.compile(r"[^\s<>\[\]();:,='@]+@[^\s<>\[\]();:,='@]+")


class Privacy:
    """Of one history."""

    def __init__(self, kept: Kept, key: bytes) -> None:
        self._kept = kept
        self._key = key
        forms = {Kept.FULL: str.lower, Kept.HASHED: self.hashed, Kept.DOMAIN: _domain_alone}
        self.kept: Callable[[str], str] = forms[kept]
        """What is written down of an address."""

    def hashed(self, address: str) -> str:
        """`#` with 16 hexadecimal digits, and the domain."""
        address = address.lower()
        digest = blake2b(address.encode("utf-8", "surrogatepass"), key=self._key, digest_size=_HASH_BYTES)
        return f"#{digest.hexdigest()}@{domain_of(address)}"

    def without(self, text: str) -> str:
        """The text with every address as it is kept: servers repeat them, and those of aliases behind them.

        A Message-ID looks like one and is changed too; the mail's own stands elsewhere.
        """
        if self._kept is Kept.FULL or "@" not in text:
            return text
        return _ADDRESS.sub(lambda found: self.kept(found[0]), text)

    def forms(self, address: str) -> tuple[str, ...]:
        """How an address may stand in the history: the setting may have been another one before."""
        return address.lower(), self.hashed(address)


def domain_of(address: str) -> str:
    """In lower case; of an address without one (postmaster) nothing."""
    return address.rpartition("@")[2].lower() if "@" in address else ""


def _domain_alone(address: str) -> str:
    return "@" + domain_of(address)
