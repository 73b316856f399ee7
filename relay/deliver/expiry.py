"""Expiry: mail that has come of age while it waited, and mail whose own deadline has passed.

What is tried is judged at its outcome (`settlement`); here is what is not tried. Old enough is

- a mail whose deadline has come, wherever it waits, to the next tick; one under way ends as
  it would have, and is not tried again;
- the oldest mail of a lane whose next hop cannot be reached, when it has come of age
  (`age`); where the route says that all waiting counts, of any lane and of its sidings.

What is held waits for somebody, and for no time. Where a lane's oldest mail is not old enough
the others are not looked at: they come at most as late as it waited for what does not count.
"""

from collections.abc import Callable

from relay.clock import Clock
from relay.deliver.outages import Outages
from relay.deliver.settlement import TOO_LATE, Settlement, Via
from relay.deliver.work import Bench, Work
from relay.errors import RecordDamaged, SpoolError
from relay.queue.deadlines import Deadlines
from relay.queue.job import Job
from relay.queue.lane import Lane
from relay.queue.queue import Queue
from relay.smtp.reply import Reply

SLICE = 500
"""Mails ended in one tick: one commit, some 20 ms; the rest a tick later."""
UNDER_WAY_S = 5.0
"""After so long a mail that was under way at its deadline is looked at again."""


class Expiry:
    """Of one process."""

    def __init__(
        self,
        queue: Queue,
        bench: Bench,
        settlement: Settlement,
        outages: Outages,
        clock: Clock,
        read: Callable[[Job, int], Work | None],
        reason: Callable[[Lane], str],
        reopened: Callable[[Lane], None],
        broken: Callable[[SpoolError], None],
    ) -> None:
        """`read` is the desk's, `reason` says why nothing of a lane goes."""
        self.deadlines = Deadlines(queue.__contains__)
        self._queue = queue
        self._bench = bench
        self._settlement = settlement
        self._outages = outages
        self._clock = clock
        self._read = read
        self._reason = reason
        self._reopened = reopened
        self._broken = broken

    def tick(self) -> None:
        """Once a second."""
        now = self._clock.now()
        for id in self.deadlines.due(now, SLICE):
            self._end(id, now)
        for lane in list(self._queue.lanes):
            if lane.route.waiting_ages:
                self._expire(lane, now)
                self._expire_aside(lane, now)
            elif len(lane) and self._outages.is_out(lane):
                self._expire(lane, now)

    # Deadlines.

    def _end(self, id: int, now: float) -> None:
        """Nothing more of the mail is tried."""
        for job in self._queue.jobs(id):
            if job.seat is None:
                self.deadlines.add(id, now + UNDER_WAY_S)
                continue
            work = self._left(job)
            if work is not None:
                self._leave(job)
                self._settle(work, TOO_LATE)

    def _left(self, job: Job) -> Work | None:
        """All that is left of a job; None: nothing is, or it cannot be read."""
        try:
            return self._bench.left(job)
        except RecordDamaged:
            # Whoever would deliver it moves it aside.
            return None
        except SpoolError as error:
            self._broken(error)
            return None

    def _leave(self, job: Job) -> None:
        """It waits no more; where it was to let the next of its siding ask, that one does."""
        assert job.seat is not None
        lane = job.lane
        job.seat.leave(job)
        if lane.sidings and not len(lane) and lane.unpark():
            self._reopened(lane)

    # Age.

    def _expire(self, lane: Lane, now: float) -> None:
        """The oldest stand first."""
        for _ in range(SLICE):
            job = lane.peek()
            if job is None or job.queued_at + lane.route.expire_s > now:
                return
            work = self._read(job, 0)
            if work is None:
                return
            old = self._old(work, now)
            if not old:
                return
            work.narrow(old)
            self._leave(job)
            self._settle(work, self._too_old(lane))

    def _expire_aside(self, lane: Lane, now: float) -> None:
        for siding in list(lane.sidings.values()):
            for _ in range(SLICE):
                job = siding.take()
                if job is None:
                    break
                work = None
                if job.queued_at + lane.route.expire_s <= now and self._settlement.may_start():
                    work = self._left(job)
                old = [] if work is None else self._old(work, now)
                if work is None or not old:
                    siding.park(job)
                    break
                work.narrow(old)
                self._settle(work, self._too_old(lane))

    def _old(self, work: Work, now: float) -> list[int]:
        return [index for index, left_s in self._settlement.left_s(work, now).items() if left_s <= 0]

    def _too_old(self, lane: Lane) -> Reply:
        reason = self._reason(lane)
        return Reply(451, "4.4.7", f"too old, and the route is stuck: {reason}" if reason else "too old")

    def _settle(self, work: Work, reply: Reply) -> None:
        self._settlement.settle(work, (reply,) * len(work.indices), Via(work.job.lane.route.next_hop))
