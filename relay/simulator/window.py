"""A rolling count: how much happened in the last `length_s` seconds, exactly.

Half open: what happened at `t` is counted until just before `t + length_s`. So no
window of that length ever holds more than was allowed, wherever it begins.
"""

from collections import deque


class Window:
    """Times must not go back from call to call."""

    __slots__ = ("_entries", "_total", "length_s", "limit", "peak")

    def __init__(self, limit: int, length_s: float) -> None:
        """`limit` 0 is off: nothing is counted, everything fits."""
        self._entries: deque[tuple[float, int]] = deque()
        self._total = 0
        self.limit = limit
        self.length_s = length_s
        self.peak = 0
        """The most there ever was in one window."""

    def count(self, now: float) -> int:
        """How much is in the window that ends now."""
        entries = self._entries
        while entries and entries[0][0] <= now - self.length_s:
            self._total -= entries.popleft()[1]
        return self._total

    def fits(self, now: float, amount: int = 1) -> bool:
        """Would so much more stay inside the limit?"""
        return not self.limit or self.count(now) + amount <= self.limit

    def add(self, now: float, amount: int = 1) -> None:
        """So much happens now, allowed or not."""
        if self.limit:
            self._entries.append((now, amount))
            self._total += amount
            self.peak = max(self.peak, self.count(now))

    def free_at(self, now: float, amount: int = 1) -> float:
        """The first moment at which so much fits, if nothing else happens."""
        if self.fits(now, amount):
            return now
        surplus = self._total + amount - self.limit
        for when, size in self._entries:
            surplus -= size
            if surplus <= 0:
                # The sum can round down to a moment at which `count` still counts the entry.
                return _after(when, self.length_s)
        raise ValueError(f"{amount} is more than the limit of {self.limit} ever allows")


def _after(when: float, length_s: float) -> float:
    moment = when + length_s
    while moment - length_s < when:
        moment += 1e-6
    return moment
