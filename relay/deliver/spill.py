"""Spilling over: mail takes the route that its own one names, when that has no room or has stopped.

Only where every login that may send the mail is at its end, and only where the other
route may have it (`relay.route.table`). It stays there; after a restart it begins anew
with its own route.
"""

from collections.abc import Callable

from relay.deliver.breakers import Breakers
from relay.deliver.gate import Gate
from relay.deliver.work import Work
from relay.message.priority import Priority
from relay.message.queue_id import format_id
from relay.queue.job import Job
from relay.queue.lane import Lane
from relay.queue.queue import Queue
from relay.route.route import Route
from relay.trace import event as trace

SLICE = 256
"""Mails moved in one go: about 10 ms; the rest in the next turn."""
May = Callable[[Route, Work], Route | None]
Read = Callable[[Job, int], Work | None]
Stay = Callable[[Lane, Priority, Job, float | None], None]


class Spill:
    """What leaves its route."""

    def __init__(
        self,
        queue: Queue,
        breakers: Breakers,
        may: May,
        record: trace.Record,
        reopened: Callable[[Lane], None],
    ) -> None:
        """`may` says which route a mail may take instead; None: none."""
        self._queue = queue
        self._breakers = breakers
        self._may = may
        self._record = record
        self._reopened = reopened
        self.gates: list[Gate] = []

    def gates_of(self, lane: Lane) -> list[Gate]:
        """All logins that may send the lane's mail."""
        return [gate for gate in self.gates if lane in gate.supply.lanes]

    def may_leave(self, asking: Gate, lane: Lane) -> bool:
        """Whether no other login has room for the lane's mail. The one that asks has none."""
        return all(
            gate is asking or gate.is_closed or self._breakers.stopping(gate.reach, gate) is not None
            for gate in self.gates_of(lane)
        )

    def move(self, work: Work, priority: Priority, reason: str) -> bool:
        """To the next route, where that may have it."""
        job, lane = work.job, work.job.lane
        route = self._may(lane.route, work)
        if route is None:
            return False
        lane.take(job)
        other = self._queue.lane(route.name, work.envelope.sender)
        other.push(job)
        self._record(trace.Spilled(format_id(job.id), lane.key.route, route.name, reason))
        self._reopened(other)
        return True

    def out_of(self, gate: Gate, reason: str, read: Read, stay: Stay) -> None:
        """The gate has stopped: all its mail that may leaves."""
        if not gate.reach.route.spill:
            return
        left = SLICE
        for lane in gate.supply.lanes:
            if not self.may_leave(gate, lane):
                continue
            for priority in Priority:
                while left and (job := lane.head(priority)) is not None:
                    left -= 1
                    work = read(job, 0)
                    if work is None:
                        if lane.head(priority) is job:
                            return
                        continue
                    if not self.move(work, priority, reason):
                        stay(lane, priority, job, None)
            if not left:
                self._reopened(lane)
