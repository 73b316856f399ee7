"""A siding: jobs of a lane that let the others past.

They wait for a limit that stops mail of their kind alone: to the outside, of one client,
to one recipient. One that comes back lets the next one ask only when it has gone, so that
100,000 mails which wait for the same limit are not read again for each place in it. What
waited for its hours comes back in numbers: all of it may go, and whose turn it is is for the
lane to say.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.queue.job import Job
    from relay.route.hours import Hours


class Siding:
    """Of one limit and one priority."""

    __slots__ = ("_gone", "_jobs", "_parked", "counts", "hours", "reason", "until")

    def __init__(self, hours: tuple[Hours, ...] = ()) -> None:
        self.hours = hours
        """What its mail waits for; none: for something else."""
        self.counts: dict[tuple[str, str], int] = {}
        """Of mail that waits for hours: how many, by client and campaign."""
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
        if self.hours:
            self._count(job, 1)

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
        if self.hours:
            self._count(job, -1)
        return job

    def before(self, job: Job) -> int:
        """How many of its client and campaign are older; a step for each that stands here."""
        flow = job.flow
        return sum(
            [
                id < job.id
                and other.seat is self
                and other.flow.client == flow.client
                and other.flow.campaign == flow.campaign
                for id, _, other in self._jobs
            ]
        )

    def leave(self, job: Job) -> None:
        """It is withdrawn."""
        job.seat = None
        self._gone += 1
        if self.hours:
            self._count(job, -1)
        self._skip()

    def _count(self, job: Job, more: int) -> None:
        key = (job.flow.client, job.flow.campaign)
        self.counts[key] = self.counts.get(key, 0) + more
        if not self.counts[key]:
            del self.counts[key]

    def _skip(self) -> None:
        jobs = self._jobs
        while jobs and jobs[0][2].seat is not self:
            heappop(jobs)
            self._gone -= 1
