"""A supply: the lanes from which one mailbox of a route takes its mail.

Mostly one. A mailbox that is in several pools, or has senders of its own besides, has
more: they take turns, mail of a priority by mail, whatever has gathered in one of them.
Of mail that is large so many at most are under way that a connection is left for the rest.
"""

from collections.abc import Callable

from relay.message.priority import Priority
from relay.queue.flow import cost
from relay.queue.job import Job
from relay.queue.lane import Lane

_PRIORITIES = tuple(Priority)


class Supply:
    """Lanes, in the order in which mail first came for them."""

    __slots__ = ("_reached", "_tags", "lanes", "large", "reachable")

    def __init__(self) -> None:
        self.lanes: list[Lane] = []
        self.large = 0
        """Large mails under way."""
        self.reachable: Callable[[], int] = _one
        """How many connections there are, or may be for the asking."""
        self._tags: dict[tuple[Lane, Priority], int] = {}
        """How far each lane has come, as in `relay.queue.rota`: of equal weight, and few."""
        self._reached = dict.fromkeys(_PRIORITIES, 0)

    @property
    def takes_large(self) -> bool:
        """Whether one more may go. The last connection is kept for what takes a second, unless it is the only one."""
        return not self.large or self.large < self.reachable() - 1

    def __len__(self) -> int:
        """How many may go."""
        lanes = self.lanes
        if self.large and not self.takes_large:
            return sum([lane.count(with_large=False) for lane in lanes])
        return len(lanes[0]) if len(lanes) == 1 else sum(map(len, lanes))

    def waiting(self) -> list[Priority]:
        """Priorities of which mail waits that may go, the highest first."""
        lanes, takes_large = self.lanes, self.takes_large
        if len(lanes) == 1:
            return lanes[0].waiting(with_large=takes_large)
        found = {priority for lane in lanes for priority in lane.waiting(with_large=takes_large)}
        return [priority for priority in _PRIORITIES if priority in found]

    def head(self, priority: Priority) -> Job | None:
        """The mail of a priority whose turn it is, left in its place."""
        lanes, takes_large = self.lanes, self.takes_large
        if len(lanes) == 1:
            return lanes[0].head(priority, with_large=takes_large)
        found: Job | None = None
        first = 0
        for lane in lanes:
            head = lane.head(priority, with_large=takes_large)
            if head is not None:
                tag = self._tag(lane, priority)
                if found is None or tag < first:
                    found, first = head, tag
        return found

    def charge(self, job: Job, size: int) -> None:
        """It has had its turn, a mail of so many bytes; its lane has still to be left."""
        lane, priority = job.lane, job.priority
        lane.charge(job, size)
        if len(self.lanes) == 1:
            return
        waiting = [self._tag(each, priority) for each in self.lanes if each.head(priority) is not None]
        self._reached[priority] = min(waiting, default=self._reached[priority])
        tag = self._tags[lane, priority] = self._tag(lane, priority) + cost(size)
        if len(waiting) == 1:
            # Alone, it takes from nobody: who comes next begins where it stands.
            self._reached[priority] = tag

    def _tag(self, lane: Lane, priority: Priority) -> int:
        return max(self._tags.get((lane, priority), 0), self._reached[priority])


def _one() -> int:
    return 1
