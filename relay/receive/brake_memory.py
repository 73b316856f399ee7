"""What the brakes remember: levels that sink, and times that end; both bounded, so that a flood of names cannot fill memory.

When there is no room, what was touched longest ago is forgotten: a brake may let somebody
off, and never grows.
"""

from collections.abc import Hashable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
PREFIX_BITS = 64
"""RFC 6177: a site has a /64 at least, and each host in it may take any of its addresses."""
PART_FORGOTTEN = 8
"""An eighth goes at once, so that making room costs nothing on average."""


@lru_cache(maxsize=4_096)
def source_of(address: str) -> str:
    """Who an address counts as: itself, or the /64 that it is in; an IPv4 address that comes mapped into IPv6 is itself."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    host_bits = 128 - PREFIX_BITS
    return f"{IPv6Address(int(parsed) >> host_bits << host_bits)}/{PREFIX_BITS}"


class Levels(Generic[Key]):
    """A level for each key: what is added makes it rise, and it sinks by `limit` in `period_s`, steadily (a leaky bucket)."""

    def __init__(self, limit: float, period_s: float, size: int) -> None:
        self.limit = limit
        self._rate = limit / period_s
        self._size = size
        self._levels: dict[Key, tuple[float, float]] = {}

    def level(self, key: Key, now: float) -> float:
        """0 for what is not known."""
        found = self._levels.get(key)
        return 0.0 if found is None else max(0.0, found[0] - (now - found[1]) * self._rate)

    def add(self, key: Key, now: float) -> float:
        """One more; the new level, which never exceeds the limit by more than this one."""
        level = min(self.level(key, now), self.limit) + 1.0
        # Put last: a dictionary keeps its order, and the first is what was touched longest ago.
        self._levels.pop(key, None)
        if len(self._levels) >= self._size:
            _forget(self._levels)
        self._levels[key] = (level, now)
        return level

    def drop(self, key: Key) -> None:
        """All is forgiven."""
        self._levels.pop(key, None)

    def __len__(self) -> int:
        return len(self._levels)


class Marks(Generic[Key]):
    """Keys that are marked for a while."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._until: dict[Key, float] = {}

    def put(self, key: Key, until: float) -> None:
        """Marked until then."""
        self._until.pop(key, None)
        if len(self._until) >= self._size:
            _forget(self._until)
        self._until[key] = until

    def has(self, key: Key, now: float) -> bool:
        """Is it marked?"""
        until = self._until.get(key)
        if until is None:
            return False
        if now >= until:
            del self._until[key]
            return False
        return True

    def __len__(self) -> int:
        return len(self._until)


def _forget(known: dict[Key, tuple[float, float]] | dict[Key, float]) -> None:
    for key in list(known)[: max(1, len(known) // PART_FORGOTTEN)]:
        del known[key]
