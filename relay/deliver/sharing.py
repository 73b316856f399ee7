"""Sharing: connections that several logins must share out between them.

Microsoft counts the three connections of a mailbox, and those to one host, over all
routes. Who wants one where all are taken is noted; the one with the most lets go of one
as soon as its mail is through, and who waits is told.
"""

from collections.abc import Hashable
from typing import Protocol

from relay.budget.connection import Busy, Connections
from relay.budget.limit import Place
from relay.deliver.reach import Reach


class Sharer(Protocol):
    """A pool, as far as the others are concerned."""

    @property
    def reach(self) -> Reach: ...
    @property
    def size(self) -> int: ...
    @property
    def staying(self) -> int: ...
    def let_go(self, reason: str) -> bool: ...
    def pump(self) -> None: ...


class Sharing:
    """Of one process."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self._pools: list[Sharer] = []
        self._waiting: dict[Sharer, Place] = {}
        """In order: since they had one last."""
        self._promised: set[Sharer] = set()
        """Those that wait for one that is on its way out: asking again would take more than one."""

    def add(self, pool: Sharer) -> None:
        """A pool that may want connections."""
        self._pools.append(pool)

    def acquire(self, owner: Hashable, pool: Sharer) -> bool:
        """A connection may be opened; False: one must go first, and the pool is told when it has."""
        busy = self.connections.acquire(owner, pool.reach.scopes)
        if busy is None:
            self._waiting.pop(pool, None)
            self._promised.discard(pool)
            return True
        if pool not in self._promised or self._waiting.get(pool) != busy.place:
            self._waiting[pool] = busy.place
            if self._ask(busy, pool):
                self._promised.add(pool)
        return False

    def room(self, reach: Reach) -> int:
        """How many more may be opened now."""
        return self.connections.room(reach.scopes)

    def release(self, owner: Hashable) -> None:
        """A connection is gone, or was not opened."""
        places = self.connections.release(owner)
        if self._waiting and places:
            waiting = [pool for pool, place in self._waiting.items() if place in places]
            # Who has the fewest first, then who waits longest: one that always wants more never shuts others out.
            for pool in sorted(waiting, key=_size):
                self._promised.discard(pool)
                pool.pump()

    def trim(self, reach: Reach) -> None:
        """A cap was lowered: what stands beyond it goes as soon as it can."""
        for scope, key in reach.scopes:
            sharers = [pool for pool in self._pools if (scope, key) in pool.reach.scopes]
            # They stand until they are gone: each refusal until then would take as many again.
            leaving = self.connections.standing(scope, key) - sum([pool.staying for pool in sharers])
            for _ in range(self.connections.surplus(scope, key) - leaving):
                # Who keeps the most; the next one, where those of that one are still being opened.
                by_size = sorted(sharers, key=_staying, reverse=True)
                if not any(pool.let_go("fewer connections are allowed") for pool in by_size):
                    break

    def _ask(self, busy: Busy, asking: Sharer) -> bool:
        scope, key = busy.place.scope, busy.place.key
        others = [pool for pool in self._pools if pool is not asking and (scope, key) in pool.reach.scopes]
        largest = max(others, key=_size, default=None)
        # One more for the one and one less for the other must be nearer to even: else it would go back and forth.
        if largest is None or largest.size <= (asking.size + 1 if asking.size else 0):
            return False
        return largest.let_go("others need a connection")


def _size(pool: Sharer) -> int:
    return pool.size


def _staying(pool: Sharer) -> int:
    return pool.staying
