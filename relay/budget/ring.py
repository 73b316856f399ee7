"""What a client has used of a quota: 61 counts in a buffer that processes share.

A window is cut into 60 buckets; a count stays until its bucket and 60 more are over. A
sliding window of that length never touches more than 61 buckets, so no more than the quota
is used in any of them, and what was used comes back a sixtieth of the window late at most.

The time is one that never steps while the machine runs. When it has begun anew (the
machine did), what was counted counts from now on: too long, and never too short. Each
step is written so that a process killed in the middle leaves too much counted, too.
"""

from dataclasses import dataclass
from enum import Enum

BUCKETS = 60
RING_BYTES = 8 + 4 + 4 * (BUCKETS + 1)
"""The newest bucket's number, its place, and the counts."""
COUNT_MAX = 2**31 - 1
"""Of one quota; a bucket's count has 32 bits."""


class Counted(Enum):
    """What a quota is of."""

    MESSAGES = "messages"
    RECIPIENTS = "recipients"


class Per(Enum):
    """In which time, in seconds; the names are for people."""

    MINUTE = 60
    HOUR = 3_600
    DAY = 86_400


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `count` in any such time."""

    of: Counted
    per: Per
    count: int


class Ring:
    """One quota's counts; the buffer belongs to others too, so that a turn is needed for each call."""

    __slots__ = ("_bucket_s", "_counts", "_number", "_place")

    def __init__(self, buffer: memoryview, window_s: int) -> None:
        """`buffer` has RING_BYTES, all of them zero when it is new."""
        self._number = buffer[:8].cast("q")
        self._place = buffer[8:12].cast("I")
        self._counts = buffer[12:RING_BYTES].cast("I")
        self._bucket_s = window_s / BUCKETS

    def used(self, now: float) -> int:
        """In the window that ends now."""
        self._advance(now)
        return sum(self._counts)

    def add(self, count: int) -> None:
        """Use so many; after `used`, which says whether they are left."""
        self._counts[self._place[0]] += count

    def give_back(self, count: int) -> None:
        """Of what was added last: it was not used after all."""
        for age in range(BUCKETS + 1):
            place = (self._place[0] - age) % (BUCKETS + 1)
            taken = min(count, self._counts[place])
            self._counts[place] -= taken
            count -= taken
            if not count:
                return

    def wait_s(self, now: float, wanted: int) -> float:
        """Until so many of what is used have come back."""
        for age in range(BUCKETS, -1, -1):
            wanted -= self._counts[(self._place[0] - age) % (BUCKETS + 1)]
            if wanted <= 0:
                return max((self._number[0] - age + BUCKETS + 1) * self._bucket_s - now, 0.0)
        return BUCKETS * self._bucket_s

    def _advance(self, now: float) -> None:
        number = int(now / self._bucket_s)
        passed = number - self._number[0]
        if not passed:
            return
        place = self._place[0] % (BUCKETS + 1)
        for step in range(1, min(passed, BUCKETS + 1) + 1):
            self._counts[(place + step) % (BUCKETS + 1)] = 0
        # The number first: killed between the two, the counts seem younger than they are.
        self._number[0] = number
        self._place[0] = place if passed < 0 else (place + passed) % (BUCKETS + 1)
