"""A supply: the lanes from which one mailbox of a route takes its mail.

Mostly one. A mailbox that is in several pools, or has senders of its own besides, has
more; the oldest mail of a priority is next, whichever lane it stands in.
"""

from relay.message.priority import Priority
from relay.queue.job import Job
from relay.queue.lane import Lane

_PRIORITIES = tuple(Priority)


class Supply:
    """Lanes, in the order in which mail first came for them."""

    __slots__ = ("lanes",)

    def __init__(self) -> None:
        self.lanes: list[Lane] = []

    def __len__(self) -> int:
        lanes = self.lanes
        return len(lanes[0]) if len(lanes) == 1 else sum(map(len, lanes))

    def waiting(self) -> list[Priority]:
        """Priorities of which mail waits, the highest first."""
        lanes = self.lanes
        if len(lanes) == 1:
            return lanes[0].waiting()
        return [priority for priority in _PRIORITIES if any(priority in lane.waiting() for lane in lanes)]

    def head(self, priority: Priority) -> Job | None:
        """The oldest mail of a priority, left in its place."""
        lanes = self.lanes
        if len(lanes) == 1:
            return lanes[0].head(priority)
        found: Job | None = None
        for lane in lanes:
            head = lane.head(priority)
            if head is not None and (found is None or head.id < found.id):
                found = head
        return found
