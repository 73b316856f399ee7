"""Deadlines: mails that may not go from a moment on, the next one first.

A mail may have gone long before its deadline comes; what is left of such ones is swept out
whenever the list has doubled, so that it holds at most twice the mails that wait.
"""

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush

TIDY_FROM = 4_096
"""Fewer are not worth the walk."""


class Deadlines:
    """By id: what waits of a mail is found in the queue."""

    def __init__(self, is_known: Callable[[int], bool]) -> None:
        """`is_known`: the mail has not left."""
        self._is_known = is_known
        self._entries: list[tuple[float, int]] = []
        self._tidy_at = TIDY_FROM

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, id: int, at: float) -> None:
        """From `at` on, seconds since the epoch, the mail may not go; twice is no harm."""
        heappush(self._entries, (at, id))
        if len(self._entries) >= self._tidy_at:
            self._entries = [entry for entry in set(self._entries) if self._is_known(entry[1])]
            heapify(self._entries)
            self._tidy_at = max(TIDY_FROM, 2 * len(self._entries))

    def due(self, now: float, limit: int) -> Iterator[int]:
        """Mails whose deadline has come; they are on the list no more. At most `limit` are looked at."""
        for _ in range(limit):
            if not self._entries or self._entries[0][0] > now:
                return
            id = heappop(self._entries)[1]
            if self._is_known(id):
                yield id
