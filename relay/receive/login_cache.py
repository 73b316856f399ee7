"""Logins that succeeded lately: an application that logs in for every mail is checked once in five minutes.

The key is an HMAC-SHA256 of name and password under a key that this process made up and
never tells: neither a password nor a hash that could be guessed against lies in memory.
A new configuration starts new receivers, and those remember nothing.
"""

import hmac

from relay.identity.client import Client

KEY_BYTES = 32


class LoginCache:
    """At most `size` of them, each for `seconds`; failures are never remembered."""

    def __init__(self, key: bytes, size: int, seconds: float) -> None:
        self._key = key
        self._size = size
        self._seconds = seconds
        self._known: dict[bytes, tuple[Client, float]] = {}

    def key(self, username: str, password: bytes) -> bytes:
        """What a login is remembered by; names count in either case."""
        name = username.lower().encode("utf-8", "surrogatepass")
        # The length keeps "ab" + "c" from "a" + "bc".
        return hmac.digest(self._key, b"%d:%b%b" % (len(name), name, password), "sha256")

    def get(self, key: bytes, now: float) -> Client | None:
        """Who logged in so lately."""
        found = self._known.get(key)
        if found is None:
            return None
        client, until = found
        if now >= until:
            del self._known[key]
            return None
        return client

    def put(self, key: bytes, client: Client, now: float, good_for_s: float) -> None:
        """Remember it; no longer than the password is good."""
        if len(self._known) >= self._size:
            # The oldest go: a dictionary keeps its order, and what is checked anew is put last.
            for old in list(self._known)[: max(1, self._size // 8)]:
                del self._known[old]
        self._known.pop(key, None)
        self._known[key] = (client, now + min(self._seconds, good_for_s))

    def __len__(self) -> int:
        return len(self._known)
