"""A siding: jobs of a lane that let the others past.

They wait for a limit that stops mail of their kind alone: to the outside, of one client,
to one recipient. One that comes back lets the next one ask only when it has gone, so that
100,000 mails which wait for the same limit are not read again for each place in it.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.queue.job import Job


class Siding:
    """Of one limit and one priority."""

    __slots__ = ("_gone", "_jobs", "_parked", "reason", "until")

    def __init__(self) -> None:
        self.until = 0.0
        """Monotonic: closed until then; 0: open, infinity: until something under way has ended."""
        self.reason = ""
        self._jobs: list[tuple[int, int, Job]] = []
        self._parked = 0
        self._gone = 0
        """Withdrawn, and still standing here."""

    def __len__(self) -> int:
        return len(self._jobs) - self._gone

    @property
    def is_closed(self) -> bool:
        """Mail of its kind need not ask."""
        return self.until > 0.0

    @property
    def needs_an_end(self) -> bool:
        """No moment is known at which there is room."""
        return self.until == math.inf

    def park(self, job: Job) -> None:
        """Let the others past."""
        job.seat = self
        self._parked += 1
        heappush(self._jobs, (job.id, self._parked, job))

    def close(self, until: float, reason: str) -> None:
        """Nothing of it goes before."""
        self.until, self.reason = until, reason

    def open(self) -> None:
        """Let them ask again."""
        self.until, self.reason = 0.0, ""

    def take(self) -> Job | None:
        """The oldest of those that stand here."""
        self._skip()
        if not self._jobs:
            return None
        job = heappop(self._jobs)[2]
        job.seat = None
        return job

    def leave(self, job: Job) -> None:
        """It is withdrawn."""
        job.seat = None
        self._gone += 1
        self._skip()

    def _skip(self) -> None:
        jobs = self._jobs
        while jobs and jobs[0][2].seat is not self:
            heappop(jobs)
            self._gone -= 1
