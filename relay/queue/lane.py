"""A lane: the jobs that wait for the same connections, oldest mail first.

Keyed by route and identity, because that is what a next hop counts by. A lane that
is stuck is paused as a whole; its jobs stay where they are and no other lane
notices. New mail comes nearly in order of id and goes to a plain queue; what comes
late or comes back goes to a heap; the older of the two heads is next.

Apart from being stuck, a lane may be throttled: its identity has used up a limit, and
nothing goes before a moment that is known. Jobs that wait for a limit which stops only
mail of their kind are parked, so that the others go past them.
"""

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush

from relay.queue.job import Job
from relay.route.route import Route


@dataclass(frozen=True, slots=True)
class LaneKey:
    """Route by name, and the identity that speaks on it; "" where there is none."""

    route: str
    identity: str


class Lane:
    """Ready jobs of one key, and whether the lane is paused."""

    def __init__(self, key: LaneKey, route: Route) -> None:
        self.key = key
        self.route = route
        self.paused_until = 0.0
        """Monotonic seconds; 0 is not paused."""
        self.throttled_until = 0.0
        """Monotonic seconds; 0 is not throttled, infinity: until something under way ends."""
        self._pause_reason = ""
        self._throttle_reason = ""
        self._parked: list[tuple[int, int, Job]] = []
        self._fresh: deque[Job] = deque()
        self._returned: list[tuple[int, int, Job]] = []
        self._returns = 0

    def __len__(self) -> int:
        return len(self._fresh) + len(self._returned)

    def push(self, job: Job) -> None:
        """The job waits for its turn: behind all mail that is older."""
        fresh = self._fresh
        if not fresh or job.id >= fresh[-1].id:
            fresh.append(job)
        else:
            self._returns += 1
            heappush(self._returned, (job.id, self._returns, job))

    def peek(self) -> Job | None:
        """The oldest, left in its place."""
        fresh, returned = self._fresh, self._returned
        if returned and (not fresh or returned[0][0] < fresh[0].id):
            return returned[0][2]
        return fresh[0] if fresh else None

    def pop(self) -> Job:
        """The oldest; IndexError when none waits."""
        fresh, returned = self._fresh, self._returned
        if returned and (not fresh or returned[0][0] < fresh[0].id):
            return heappop(returned)[2]
        return fresh.popleft()

    def pause(self, until: float, reason: str) -> None:
        """Let nothing start before `until` (monotonic)."""
        self.paused_until = until
        self._pause_reason = reason

    def resume(self) -> None:
        """The reason for the pause is gone."""
        self.paused_until = 0.0
        self._pause_reason = ""

    @property
    def pause_reason(self) -> str:
        """Why nothing goes; a trouble comes before a limit."""
        return self._pause_reason or self._throttle_reason

    def throttle(self, until: float, reason: str) -> None:
        """A limit is used up until then (monotonic)."""
        self.throttled_until = until
        self._throttle_reason = reason

    def release(self) -> None:
        """Ask the limit again."""
        self.throttled_until = 0.0
        self._throttle_reason = ""

    @property
    def parked(self) -> int:
        """Jobs that stand aside; `len` does not count them."""
        return len(self._parked)

    def park(self, job: Job) -> None:
        """Let the others past."""
        self._returns += 1
        heappush(self._parked, (job.id, self._returns, job))

    def unpark(self) -> None:
        """Put the oldest of those that stand aside back in its place, if there is one."""
        if self._parked:
            self.push(heappop(self._parked)[2])
