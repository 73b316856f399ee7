"""A line: jobs that go in order, the oldest mail first.

New mail comes nearly in order of id and is put at the end; what comes late or comes back
goes to a heap; the older of the two heads is next. A job that is withdrawn stays where it
is, without a seat, and is passed over when it comes to the head.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.queue.job import Job


class Line:
    """Of one client and campaign.

    Two lists, one filled at its end and one emptied from its end, and no `deque`: of those each has a block
    of 64 places from the start, and there may be 100,000 lines with a mail each.
    """

    __slots__ = ("_back", "_backs", "_came", "_next", "known_from", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.known_from = -1
        """The id under which it is known among lines by age; -1: under none."""
        self._came: list[Job] = []
        """The newest last."""
        self._next: list[Job] = []
        """Before them, the oldest last."""
        self._back: list[tuple[int, int, Job]] | None = None
        self._backs = 0

    def __len__(self) -> int:
        """How many stand here; those that were withdrawn may be among them."""
        return len(self._came) + len(self._next) + len(self._back or ())

    def before(self, job: Job) -> int:
        """How many of them are older."""
        older = bisect_left(self._came, job.id, key=_id)
        # The oldest last, so by their ids turned round.
        older += len(self._next) - bisect_right(self._next, -job.id, key=_turned)
        return older + sum([id < job.id for id, _, _ in self._back or ()])

    def push(self, job: Job) -> None:
        """Behind all mail that is older."""
        came = self._came
        newest = came[-1] if came else self._next[0] if self._next else None
        if newest is None or job.id >= newest.id:
            came.append(job)
            return
        if self._back is None:
            self._back = []
        self._backs += 1
        heappush(self._back, (job.id, self._backs, job))

    def peek(self) -> Job | None:
        """The oldest, left in its place."""
        head = self._first()
        back = self._back
        if back:
            while back and back[0][2].seat is None:
                heappop(back)
            if back and (head is None or back[0][0] < head.id):
                return back[0][2]
        return head

    def take(self, job: Job) -> None:
        """It leaves: what `peek` gave, though an older one may have come since."""
        if self._next and self._next[-1] is job:
            self._next.pop()
            return
        assert self._back and self._back[0][2] is job, "the first of its line"
        heappop(self._back)

    def _first(self) -> Job | None:
        """The oldest of those that came in order."""
        while True:
            waiting = self._next
            while waiting:
                job = waiting[-1]
                if job.seat is not None:
                    return job
                waiting.pop()
            if not self._came:
                return None
            # What came is next, once all before it has gone: each job is moved once, and none is copied.
            self._came.reverse()
            self._next, self._came = self._came, waiting


def _id(job: Job) -> int:
    return job.id


def _turned(job: Job) -> int:
    return -job.id
