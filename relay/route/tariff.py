"""The tariff: what a mail on a route is charged, and which limits are in force.

Limits belong to those who are counted, not to routes: two routes that log in as one
mailbox share its limits, and all routes with a limit of the tenant share that one. So
of two limits for the same over the same time the smaller is in force, for both routes.
A mailbox of high volume and a resource of Azure are counted apart from mailboxes of the
same name.
"""

from collections.abc import Iterable, Sequence

from relay.budget.limit import DAY_S, Charge, Limit, Place, Scope, Unit
from relay.budget.row import MAX_KEY_BYTES
from relay.m365.preset import Kind
from relay.route.route import Route
from relay.route.tenant import Tenant

TENANT_KEY = "tenant"
_APART = frozenset({Kind.HIGH_VOLUME, Kind.COMMUNICATION})


def limits_in_force(routes: Iterable[Route]) -> tuple[Limit, ...]:
    """The limits of all routes, each with the key of who is counted."""
    smallest: dict[tuple[object, ...], Limit] = {}
    for route in routes:
        for row in route.limits:
            key = _key(row.scope, route)
            same = (row.scope, row.unit, row.window_s, row.since_midnight, key)
            known = smallest.get(same)
            if known is None or row.count < known.count:
                smallest[same] = Limit(row.scope, row.unit, row.count, row.window_s, row.since_midnight, key)
    return tuple(smallest.values())


class Tariff:
    """What mails on one route are charged."""

    def __init__(self, route: Route, limits: Iterable[Limit], tenant: Tenant) -> None:
        """`limits` are those in force."""
        whose = {(scope, _key(scope, route)) for scope in (Scope.MAILBOX, Scope.ROUTE)}
        # Not every route is counted for the tenant; one that is says so by a limit of its own.
        if any(row.scope is Scope.TENANT for row in route.limits):
            whose.add((Scope.TENANT, TENANT_KEY))
        places = (Place(row.scope, row.key, row.unit) for row in limits if (row.scope, row.key) in whose)
        self.places = tuple(dict.fromkeys(places))
        """Empty: the route has no limits."""
        self._tenant = tenant
        self._counts_external = any(place.unit is Unit.EXTERNAL_RECIPIENTS for place in self.places)

    def charges(self, recipients: Sequence[bytes], size: int) -> list[Charge]:
        """Of one transaction."""
        return self._charges(recipients, {Unit.MESSAGES: 1, Unit.BYTES: size})

    def unsent(self, recipients: Sequence[bytes]) -> list[Charge]:
        """What a transaction whose content left was not charged after all: recipients that were refused."""
        return self._charges(recipients, {})

    def has_external(self, recipients: Sequence[bytes]) -> bool:
        """Whether some of it is counted as mail to the outside."""
        return self._counts_external and not all(map(self._tenant.is_inside, recipients))

    def _charges(self, recipients: Sequence[bytes], amounts: dict[Unit, int]) -> list[Charge]:
        amounts[Unit.RECIPIENTS] = len(recipients)
        if self._counts_external:
            is_inside = self._tenant.is_inside
            amounts[Unit.EXTERNAL_RECIPIENTS] = sum(not is_inside(each) for each in recipients)
        return [Charge(*place, amount) for place in self.places if (amount := amounts.get(place.unit))]


def describe(limit: Limit) -> str:
    """`30 messages in 60 s of the mailbox`."""
    time = "a day (UTC)" if limit.since_midnight else f"{limit.window_s} s"
    if limit.window_s == DAY_S and not limit.since_midnight:
        time = "24 h"
    unit = limit.unit.name.lower().replace("_", " ")
    return f"{limit.count} {unit} in {time} of the {limit.scope.name.lower()}"


def _key(scope: Scope, route: Route) -> str:
    match scope:
        case Scope.TENANT:
            return TENANT_KEY
        case Scope.MAILBOX if route.credentials is not None:
            name = route.credentials.username.lower()
            key = f"{route.kind.value}:{name}" if route.kind in _APART else name
        case _:
            key = route.name
    # Cut, two may be counted as one: that errs to the safe side.
    return key.encode(errors="surrogateescape")[:MAX_KEY_BYTES].decode(errors="ignore")
