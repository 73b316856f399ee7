"""The deferred: jobs that wait for a moment, the next one first.

One that is withdrawn stays where it is, without a seat, and is passed over; when more than
half are such, the others are put in order anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.queue.job import Job

TIDY_FROM = 4096
"""Fewer that are gone are not worth the walk; one over a million takes some 50 ms, once in 500,000."""


class Deferred:
    """Of all lanes."""

    __slots__ = ("_entries", "_gone", "_pushes", "untried")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Job]] = []
        self._pushes = 0
        self._gone = 0
        self.untried = 0
        """Of them nobody has tried: their senders do not want them to leave yet."""

    def __len__(self) -> int:
        return len(self._entries) - self._gone

    def push(self, job: Job, at: float) -> None:
        """The job waits until `at`, seconds since the epoch."""
        job.seat = self
        self._pushes += 1
        self.untried += not job.attempts
        heappush(self._entries, (at, self._pushes, job))

    def due(self, now: float, limit: int) -> Iterator[Job]:
        """Jobs whose time has come, in that order; they have left. At most `limit` entries are looked at."""
        entries = self._entries
        for _ in range(limit):
            if not entries or entries[0][0] > now:
                return
            job = heappop(entries)[2]
            if job.seat is not self:
                self._gone -= 1
                continue
            self._left(job)
            yield job

    def leave(self, job: Job) -> None:
        """It is withdrawn."""
        self._left(job)
        self._gone += 1
        if self._gone >= TIDY_FROM and self._gone * 2 > len(self._entries):
            self._entries = [entry for entry in self._entries if entry[2].seat is self]
            heapify(self._entries)
            self._gone = 0

    def _left(self, job: Job) -> None:
        job.seat = None
        self.untried -= not job.attempts
