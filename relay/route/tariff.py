"""The tariff: what a mail on a route is charged, and which limits are in force.

Limits belong to those who are counted, not to routes: two routes that log in as one
mailbox share its limits, and all routes with a limit of the tenant share that one. So
of two limits for the same over the same time the smaller is in force, for both routes.
A mailbox of high volume and a resource of Azure are counted apart from mailboxes of the
same name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta

from relay.budget.limit import DAY_S, Charge, Limit, Place, Scope, Unit, stricter
from relay.budget.row import MAX_KEY_BYTES
from relay.m365.preset import Kind
from relay.route.route import Login, Route
from relay.route.tenant import Tenant

TENANT_KEY = "tenant"
MX_KEY = "mx"
"""Our address as Microsoft's MX hosts see it; where somebody logs in, the address of a route is its own."""
RAMP_SHOWN = 4
"""Days of a ramp that are named."""
_APART = frozenset({Kind.HIGH_VOLUME, Kind.COMMUNICATION})
_AT_MX = frozenset({Kind.CONNECTOR, Kind.DIRECT})
_OF_A_MAIL = frozenset({Scope.CLIENT, Scope.RECIPIENT})
"""Whose key each mail brings."""


def limits_in_force(routes: Iterable[Route]) -> tuple[Limit, ...]:
    """The limits of all routes, each with the key of who is counted."""
    smallest: dict[tuple[object, ...], Limit] = {}
    for route in routes:
        for row in route.limits:
            for key in _keys(row.scope, route):
                limit = replace(row, key=key)
                same = (row.scope, row.unit, row.window_s, row.since_midnight, key)
                known = smallest.get(same)
                smallest[same] = limit if known is None else stricter(known, limit)
    return tuple(smallest.values())


def scopes_of(route: Route, login: Login | None) -> tuple[tuple[Scope, str], ...]:
    """Who is counted, and who may be in trouble, when this login of the route sends."""
    scopes = [
        (scope, _key(scope, route)) for scope in (Scope.ROUTE, Scope.SOURCE, Scope.FOREST, Scope.TENANT)
    ]
    return tuple(scopes) if login is None else ((Scope.MAILBOX, mailbox_key(route, login)), *scopes)


class Tariff:
    """What mails are charged that one login of a route sends."""

    def __init__(self, route: Route, login: Login | None, limits: Iterable[Limit], tenant: Tenant) -> None:
        """`limits` are those in force."""
        # Not every route is counted for the tenant, or by its address; one that is says so by a limit of its own.
        own = {row.scope for row in route.limits} | {Scope.MAILBOX, Scope.ROUTE}
        whose = {(scope, key) for scope, key in scopes_of(route, login) if scope in own}
        whose |= {(scope, "") for scope in own & _OF_A_MAIL}
        places = dict.fromkeys(
            Place(row.scope, row.key, row.unit)
            for row in limits
            if (row.scope, row.key) in whose and row.unit is not Unit.CONNECTIONS
        )
        self.places = tuple(place for place in places if place.scope not in _OF_A_MAIL)
        """Of those that all its mail is charged to."""
        self._of_client = tuple(place.unit for place in places if place.scope is Scope.CLIENT)
        self._of_recipient = tuple(place.unit for place in places if place.scope is Scope.RECIPIENT)
        self._tenant = tenant
        self.counts_external = any(place.unit is Unit.EXTERNAL_RECIPIENTS for place in places)

    def __bool__(self) -> bool:
        """Whether there are limits at all."""
        return bool(self.places or self._of_client or self._of_recipient)

    def charges(self, recipients: Sequence[bytes], size: int, client: str = "") -> list[Charge]:
        """Of one transaction; `client` is whose mail it is."""
        return self._charges(recipients, client, {Unit.MESSAGES: 1, Unit.BYTES: size})

    def unsent(self, recipients: Sequence[bytes], client: str = "") -> list[Charge]:
        """What a transaction whose content left was not charged after all: recipients that were refused."""
        return self._charges(recipients, client, {})

    def has_external(self, recipients: Sequence[bytes]) -> bool:
        """Whether some of it is counted as mail to the outside."""
        return self.counts_external and not all(map(self._tenant.is_inside, recipients))

    def _charges(self, recipients: Sequence[bytes], client: str, amounts: dict[Unit, int]) -> list[Charge]:
        amounts[Unit.RECIPIENTS] = len(recipients)
        if self.counts_external:
            is_inside = self._tenant.is_inside
            amounts[Unit.EXTERNAL_RECIPIENTS] = sum(not is_inside(each) for each in recipients)
        charges = [Charge(*place, amount) for place in self.places if (amount := amounts.get(place.unit))]
        for unit in self._of_client:
            if amount := amounts.get(unit):
                charges.append(Charge(Scope.CLIENT, _short(client), unit, amount))
        for unit in self._of_recipient:
            charges += self._for_each(recipients, unit, amounts)
        return charges

    def _for_each(
        self, recipients: Sequence[bytes], unit: Unit, amounts: dict[Unit, int]
    ) -> Iterable[Charge]:
        # For a recipient that was refused nothing came, whatever is counted.
        amount = amounts.get(Unit.BYTES, 0) if unit is Unit.BYTES else 1
        for address in recipients:
            yield Charge(Scope.RECIPIENT, _short(address.lower().decode("utf-8", "replace")), unit, amount)


def describe(limit: Limit) -> str:
    """`30 messages in 60 s of the mailbox`."""
    unit = limit.unit.name.lower().replace("_", " ")
    whose = f"of the {limit.scope.name.lower()}"
    if limit.unit is Unit.CONNECTIONS:
        return f"{limit.count} {unit} at once {whose}"
    time = "a day (UTC)" if limit.since_midnight else f"{limit.window_s} s"
    if limit.window_s == DAY_S and not limit.since_midnight:
        time = "24 h"
    if limit.ramp:
        start = date(1970, 1, 1) + timedelta(days=limit.ramp_day)
        numbers = ", ".join(str(each) for each in limit.ramp[:RAMP_SHOWN])
        more = ", …" if len(limit.ramp) > RAMP_SHOWN else ""
        return f"{numbers}{more} {unit} {time} from {start} on {whose}"
    return f"{limit.count} {unit} in {time} {whose}"


def mailbox_key(route: Route, login: Login | None) -> str:
    """Under which name a mailbox is counted; the route's own where nobody logs in."""
    if login is None:
        return _short(route.name)
    name = login.username.lower()
    return _short(f"{route.kind.value}:{name}" if route.kind in _APART else name)


def _keys(scope: Scope, route: Route) -> Iterable[str]:
    if scope is Scope.MAILBOX:
        return dict.fromkeys(mailbox_key(route, login) for login in route.identities)
    return (_key(scope, route),)


def _key(scope: Scope, route: Route) -> str:
    match scope:
        case Scope.TENANT:
            return TENANT_KEY
        case Scope.SOURCE if route.kind in _AT_MX:
            return MX_KEY
        case Scope.FOREST:
            return _short((route.mx_of or ",".join(route.hosts)).lower())
        case Scope.CLIENT | Scope.RECIPIENT:
            return ""
        case _:
            return _short(route.name)


def _short(key: str) -> str:
    # Cut, two may be counted as one: that errs to the safe side.
    return key.encode(errors="surrogateescape")[:MAX_KEY_BYTES].decode(errors="ignore")
