"""Connections: how many stand at once, per mailbox, source address, forest and tenant.

They are counted as they stand, by owner, so that one that ends twice frees one place
and not two. Nothing is kept over a restart: our connections end with the process.

Microsoft says `432 4.3.2 Concurrent connections limit exceeded` only after the end of
the data, and may count a connection we have closed for a while. The caller then asks
`learn.py` for a lower cap and sets it here; `surplus` says how many stand too many.
"""

import sys
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from relay.budget.limit import Limit, LimitTable, Place, Scope, Unit


@dataclass(frozen=True, slots=True)
class Busy:
    """No connection may be added here; one must be released first."""

    place: Place
    cap: int


class Connections:
    """Places of connections, and who has them."""

    def __init__(self, limits: Iterable[Limit]) -> None:
        self._table = LimitTable(limit for limit in limits if limit.unit is Unit.CONNECTIONS)
        self._caps: dict[Place, int] = {}
        """Set while the process runs, in place of the table's."""
        self._standing: dict[Place, int] = {}
        self._places: dict[Hashable, tuple[Place, ...]] = {}

    def acquire(self, owner: Hashable, scopes: Iterable[tuple[Scope, str]]) -> Busy | None:
        """A connection in all of these scopes, or in none and the first that is full; None: it may stand."""
        assert owner not in self._places, "an owner has one connection"
        places = tuple(dict.fromkeys(Place(scope, key, Unit.CONNECTIONS) for scope, key in scopes))
        for place in places:
            cap = self.cap(place.scope, place.key)
            if cap is not None and self._standing.get(place, 0) >= cap:
                return Busy(place, cap)
        for place in places:
            self._standing[place] = self._standing.get(place, 0) + 1
        self._places[owner] = places
        return None

    def room(self, scopes: Iterable[tuple[Scope, str]]) -> int:
        """How many more may stand in all of these scopes; very many, where nothing says."""
        caps = [(cap, self.standing(*scope)) for scope in scopes if (cap := self.cap(*scope)) is not None]
        return min([max(0, cap - standing) for cap, standing in caps], default=sys.maxsize)

    def release(self, owner: Hashable) -> tuple[Place, ...]:
        """The connection is gone; where there may be room now. Nothing when it was released before."""
        places = self._places.pop(owner, ())
        for place in places:
            self._standing[place] -= 1
            if not self._standing[place]:
                del self._standing[place]
        return places

    def standing(self, scope: Scope, key: str) -> int:
        """How many there are."""
        return self._standing.get(Place(scope, key, Unit.CONNECTIONS), 0)

    def cap(self, scope: Scope, key: str) -> int | None:
        """How many there may be; None: nothing says."""
        place = Place(scope, key, Unit.CONNECTIONS)
        if (cap := self._caps.get(place)) is not None:
            return cap
        return min((limit.count for limit in self._table.at(place)), default=None)

    def set_cap(self, scope: Scope, key: str, cap: int) -> None:
        """From now on so many; those that stand stay until their owners release them."""
        assert cap >= 1
        self._caps[Place(scope, key, Unit.CONNECTIONS)] = cap

    def surplus(self, scope: Scope, key: str) -> int:
        """How many stand beyond the cap: to be closed as they become idle."""
        cap = self.cap(scope, key)
        return 0 if cap is None else max(0, self.standing(scope, key) - cap)
