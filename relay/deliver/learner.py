"""What is learnt at work: limits that nobody publishes, from replies that say "too much".

A limit with `least` (`[[route.limit]]`) is believed to lie between that and its count.
Each change is told with the reply that caused it, and kept in the spool; losing one
costs only what was learnt.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from relay.budget.connection import Connections
from relay.budget.learn import Learning, LearnOptions, Learnt
from relay.budget.ledger import Ledger
from relay.budget.limit import SECOND_US, Limit, Place, Scope, Unit
from relay.budget.row import Row
from relay.clock import Clock
from relay.deliver.outcome import Trouble
from relay.deliver.reach import Reach
from relay.m365.row import ReduceConnections, ReduceRate
from relay.m365.row import Scope as Stopped
from relay.smtp.reply import Reply
from relay.trace import event as trace

_OF = {
    Stopped.SENDER: Scope.MAILBOX,
    Stopped.ROUTE: Scope.ROUTE,
    Stopped.SOURCE_ADDRESS: Scope.SOURCE,
    Stopped.FOREST: Scope.FOREST,
    Stopped.TENANT: Scope.TENANT,
}
_ELSE = (Scope.FOREST, Scope.SOURCE, Scope.ROUTE, Scope.MAILBOX)
"""What is lowered where the reply's own scope has nothing that is learnt."""


class Learner:
    """Of one process."""

    def __init__(
        self,
        limits: Iterable[Limit],
        rows: Iterable[tuple[bytes, bytes]],
        connections: Connections,
        ledger: Ledger | None,
        record: trace.Record,
        clock: Clock,
        write: Callable[[Sequence[Row]], None],
    ) -> None:
        """`limits` are those in force, `rows` what an earlier process learnt."""
        self._limits = {
            Place(limit.scope, limit.key, limit.unit): limit for limit in limits if limit.least and limit.key
        }
        self._connections = connections
        self._ledger = ledger
        self._record = record
        self._clock = clock
        self._write = write
        self._of_reach: dict[Reach, tuple[Place, ...]] = {}
        """What each login uses; there are as many as logins."""
        self._learning = Learning()
        for row in rows:
            # One that cannot be read costs what was learnt, and nothing else.
            with suppress(ValueError):
                self._learning.restore([row])
        for place, limit in self._limits.items():
            self._set(place, limit, self._learning.count(place, _options(limit), self._now()))

    def crowded(self, trouble: Trouble, reach: Reach) -> None:
        """The next hop says that it is too much."""
        units: tuple[Unit, ...]
        match trouble.action:
            case ReduceConnections():
                units = (Unit.CONNECTIONS,)
            case ReduceRate():
                units = (Unit.MESSAGES, Unit.RECIPIENTS, Unit.BYTES)
            case _:
                return
        for place in self._places(trouble.scope, reach, units):
            limit, reply = self._limits[place], str(trouble.reply)
            learnt = self._learning.refused(place, _options(limit), self._now(), reply)
            self._adopt(limit, learnt)

    def accepted(self, reach: Reach, reply: Reply) -> None:
        """It took a mail."""
        if not self._limits:
            return
        known = self._of_reach.get(reach)
        if known is None:
            found = [Place(scope, key, unit) for scope, key in reach.scopes for unit in Unit]
            known = self._of_reach[reach] = tuple(place for place in found if place in self._limits)
        for place in known:
            limit = self._limits[place]
            options, used = _options(limit), self._used(place, limit)
            self._adopt(limit, self._learning.accepted(place, options, self._now(), used, str(reply)))

    def _used(self, place: Place, limit: Limit) -> int:
        if place.unit is Unit.CONNECTIONS:
            return self._connections.standing(place.scope, place.key)
        return 0 if self._ledger is None else self._ledger.used(place, limit)

    def _places(self, scope: Stopped, reach: Reach, units: Sequence[Unit]) -> list[Place]:
        """What is lowered: of the reply's own scope, or else of the first that is learnt."""
        keys = dict(reach.scopes)
        for each in dict.fromkeys((_OF.get(scope), *_ELSE)):
            if each is None or each not in keys:
                continue
            found = [place for unit in units if (place := Place(each, keys[each], unit)) in self._limits]
            if found:
                return found
        return []

    def _adopt(self, limit: Limit, learnt: Learnt | None) -> None:
        if learnt is None:
            return
        place = learnt.place
        self._set(place, limit, learnt.after)
        unit = place.unit.name.lower().replace("_", " ")
        event = trace.LimitLearnt(
            place.scope.name.lower(), place.key, unit, learnt.before, learnt.after, learnt.reply
        )
        self._record(event)
        self._write(self._learning.changes())

    def _set(self, place: Place, limit: Limit, count: int) -> None:
        if place.unit is Unit.CONNECTIONS:
            self._connections.set_cap(place.scope, place.key, count)
        elif self._ledger is not None:
            self._ledger.set_count(limit, place.key, count)

    def _now(self) -> int:
        return int(self._clock.monotonic() * SECOND_US)


def _options(limit: Limit) -> LearnOptions:
    return LearnOptions(least=limit.least, most=limit.count, start=limit.count)
