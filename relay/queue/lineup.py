"""A line-up: who may send, with the limits of each as they stand; the first half of a situation.

Of the configuration and a ledger, be it the one at work or one that was read from the
disk. What is not known of a login (how long its mails take, whether it has stopped) says
whoever asks.
"""

from collections.abc import Callable, Iterable, Sequence

from relay.budget.connection import Connections
from relay.budget.ledger import Ledger
from relay.budget.limit import Scope, Unit
from relay.budget.standing import Standing
from relay.queue.situation import ASSUMED_S, Sender
from relay.route.route import Login, Route
from relay.route.tariff import Tariff, describe, scopes_of

Place = tuple[str, str, str, int, bool]
Complete = Callable[[Sender, Route, Login | None], Sender]


class LineUp:
    """Grows by the logins that are asked for; each is there once."""

    def __init__(
        self,
        tariff: Callable[[Route, Login | None], Tariff | None],
        ledger: Ledger | None,
        now: int,
        connections: Connections,
        complete: Complete = lambda sender, route, login: sender,
    ) -> None:
        """`now` is the ledger's; `complete` adds what is known of a login."""
        self.senders: list[Sender] = []
        self.standings: list[Standing] = []
        self._tariff = tariff
        self._ledger = ledger
        self._now = now
        self._connections = connections
        self._complete = complete
        self._known: dict[tuple[str, str], int] = {}
        self._places: dict[Place, int] = {}

    def of(self, route: Route, logins: Iterable[Login | None]) -> tuple[int, ...]:
        """Their places among the senders."""
        return tuple(self._of(route, login) for login in logins)

    def _of(self, route: Route, login: Login | None) -> int:
        identity = login.username if login is not None else ""
        key = (route.name, identity.lower())
        found = self._known.get(key)
        if found is None:
            caps = [self._connections.cap(scope, name) for scope, name in scopes_of(route, login)]
            most = min([route.connections, *(cap for cap in caps if cap is not None)])
            sender = Sender(route.name, identity, self._standings(route, login), most, ASSUMED_S)
            found = self._known[key] = len(self.senders)
            self.senders.append(self._complete(sender, route, login))
        return found

    def _standings(self, route: Route, login: Login | None) -> tuple[int, ...]:
        tariff = self._tariff(route, login)
        if tariff is None or self._ledger is None:
            return ()
        found = []
        for standing in self._ledger.standings(tariff.places, self._now):
            place = (
                standing.scope,
                standing.key,
                standing.unit,
                standing.window_s,
                standing.since_midnight,
            )
            if place not in self._places:
                self._places[place] = len(self.standings)
                self.standings.append(standing)
            found.append(self._places[place])
        return tuple(found)


def left_out(routes: Sequence[Route]) -> list[str]:
    """What a forecast does not look at, in words for people."""
    rows = dict.fromkeys(limit for route in routes for limit in route.limits)
    of_each_mail = [
        limit
        for limit in rows
        if limit.scope in (Scope.CLIENT, Scope.RECIPIENT) and limit.unit is not Unit.CONNECTIONS
    ]
    return [
        *(
            f"the limit of {describe(each)} is not looked at: each mail brings its key"
            for each in of_each_mail
        ),
    ]
