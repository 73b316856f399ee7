"""A strand: jobs of a lane that go in order, the oldest mail first.

New mail comes nearly in order of id and goes to a plain queue; what comes late or comes
back goes to a heap; the older of the two heads is next. A job that is withdrawn stays
where it is, without a seat, and is passed over when it comes to the head.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.queue.job import Job


class Strand:
    """Of one priority."""

    __slots__ = ("_fresh", "_gone", "_returned", "_returns")

    def __init__(self) -> None:
        self._fresh: deque[Job] = deque()
        self._returned: list[tuple[int, int, Job]] = []
        self._returns = 0
        self._gone = 0
        """Withdrawn, and still standing here."""

    def __len__(self) -> int:
        return len(self._fresh) + len(self._returned) - self._gone

    def push(self, job: Job) -> None:
        """The job waits for its turn: behind all mail that is older."""
        job.seat = self
        fresh = self._fresh
        if not fresh or job.id >= fresh[-1].id:
            fresh.append(job)
        else:
            self._returns += 1
            heappush(self._returned, (job.id, self._returns, job))

    def peek(self) -> Job | None:
        """The oldest, left in its place."""
        if self._gone:
            self._skip()
        fresh, returned = self._fresh, self._returned
        if returned and (not fresh or returned[0][0] < fresh[0].id):
            return returned[0][2]
        return fresh[0] if fresh else None

    def before(self, job: Job) -> int:
        """How many go before it; those that were withdrawn may be among them."""
        returned = sum(other[0] < job.id for other in self._returned)
        return bisect_left(self._fresh, job.id, key=_id) + returned

    def pop(self) -> Job:
        """The oldest; IndexError when none waits."""
        if self._gone:
            self._skip()
        fresh, returned = self._fresh, self._returned
        if returned and (not fresh or returned[0][0] < fresh[0].id):
            job = heappop(returned)[2]
        else:
            job = fresh.popleft()
        job.seat = None
        return job

    def leave(self, job: Job) -> None:
        """It is withdrawn."""
        job.seat = None
        self._gone += 1
        # An action takes the oldest first, so most leave at once, and a million need no room.
        self._skip()

    def _skip(self) -> None:
        fresh, returned = self._fresh, self._returned
        while fresh and fresh[0].seat is not self:
            fresh.popleft()
            self._gone -= 1
        while returned and returned[0][2].seat is not self:
            heappop(returned)
            self._gone -= 1


def _id(job: Job) -> int:
    return job.id
