"""The queue: every mail that waits, in lanes, and those deferred in order of time.

It knows ids, not contents, and is told the time. A mail is here from the first
word of it until it left the spool, so that a hint that comes twice, or a scan
that finds a mail again, does not deliver it twice.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from relay.queue.job import Job
from relay.queue.lane import Lane, LaneKey
from relay.route.route import Route


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits; jobs, and mails that are held."""

    ready: int
    deferred: int
    held: int
    oldest_at: float | None
    """When the oldest ready mail came, seconds since the epoch."""


class Queue:
    """Lanes by route, the deferred in a heap, and the ids of all that is known."""

    def __init__(self, route_named: Callable[[str], Route]) -> None:
        """`route_named` gives a route for every name, even one that is no longer configured."""
        self._route_named = route_named
        self._lanes: dict[str, Lane] = {}
        self._deferred: list[tuple[float, int, Job]] = []
        self._deferrals = 0
        self._known: set[int] = set()
        self._held = 0

    def __contains__(self, id: int) -> bool:
        return id in self._known

    @property
    def lanes(self) -> Iterable[Lane]:
        """All lanes there ever was mail for."""
        return self._lanes.values()

    def lane(self, route_name: str) -> Lane:
        """The lane of a route: its identity is the route's user name."""
        lane = self._lanes.get(route_name)
        if lane is None:
            route = self._route_named(route_name)
            identity = route.credentials.username if route.credentials else ""
            lane = self._lanes[route_name] = Lane(LaneKey(route_name, identity), route)
        return lane

    def add(self, id: int, route_name: str, *, attempts: int = 0, has_state: bool = False) -> Job:
        """A job for a mail; the caller places it with `push` or `defer`."""
        self._known.add(id)
        return Job(id, self.lane(route_name), attempts, has_state)

    def defer(self, job: Job, at: float) -> None:
        """Back in its lane at `at`, seconds since the epoch."""
        self._deferrals += 1
        heappush(self._deferred, (at, self._deferrals, job))

    def due(self, now: float, limit: int) -> Iterator[Job]:
        """Deferred jobs whose time has come, in that order, at most `limit`; they are in their lanes again."""
        deferred = self._deferred
        for _ in range(limit):
            if not deferred or deferred[0][0] > now:
                return
            job = heappop(deferred)[2]
            job.lane.push(job)
            yield job

    def hold(self, id: int) -> None:
        """The mail stays in the spool and is not tried again."""
        self._known.add(id)
        self._held += 1

    def forget(self, id: int) -> None:
        """The mail has left the spool."""
        self._known.discard(id)

    def depth(self) -> Depth:
        """How much waits now; costs a step a lane."""
        heads = [head.queued_at for lane in self._lanes.values() if (head := lane.peek()) is not None]
        ready = sum([len(lane) + lane.parked for lane in self._lanes.values()])
        return Depth(ready, len(self._deferred), self._held, min(heads, default=None))
