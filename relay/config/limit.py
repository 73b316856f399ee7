"""From `[[route.limit]]` and `[tenant]` to limits: those of the route's kind, and what is written here instead.

A written limit takes the place of the kind's for the same, counted over the same time; an
empty list takes all of them away. The tenant's limit to the outside is one for all routes
that Microsoft counts for it.
"""

from collections.abc import Sequence

from relay.budget.limit import DAY_S, Limit, Scope, Unit
from relay.config.findings import Findings
from relay.config.limit_table import UNITS, RouteLimitTable, TenantTable
from relay.m365 import limit as published
from relay.m365.preset import Kind
from relay.m365.row import Scope as Whose
from relay.route.route import Route
from relay.route.tenant import Tenant

_SCOPES = {"mailbox": Scope.MAILBOX, "route": Scope.ROUTE, "tenant": Scope.TENANT}
_PUBLISHED_SCOPES = {Whose.SENDER: Scope.MAILBOX, Whose.ROUTE: Scope.ROUTE}
_PUBLISHED_UNITS = {counted: UNITS[counted.value] for counted in published.Counted if counted.value in UNITS}


def build_tenant(found: Findings, table: TenantTable | None) -> Tenant:
    """Which domains are inside."""
    if table is None:
        return Tenant()
    if table.licences is not None and table.external_recipients_per_day is not None:
        found.problem("tenant.licences", "and external_recipients_per_day exclude each other")
    if not table.domains and _outside(table) is not None:
        found.warning("tenant.domains", "is missing, so every recipient counts as external")
    return Tenant(tuple(table.domains or ()))


def build_limits(
    found: Findings,
    key: str,
    tables: Sequence[RouteLimitTable] | None,
    route: Route,
    tenant: TenantTable | None,
) -> tuple[Limit, ...]:
    """The limits of one route."""
    limits = {_same(row): row for row in _of_kind(route.kind, tenant) if tables is None or tables}
    written: set[tuple[object, ...]] = set()
    for i, table in enumerate(tables or ()):
        limit = _limit(found, f"{key}.limit[{i}]", table, route)
        if limit is None:
            continue
        if _same(limit) in written:
            found.problem(f"{key}.limit[{i}]", "counts the same over the same time as one before it")
        written.add(_same(limit))
        limits[_same(limit)] = limit
    return tuple(limits.values())


def check_connections(found: Findings, routes: Sequence[Route]) -> None:
    """Microsoft counts a mailbox's connections together, whichever routes they are of."""
    (most,) = {
        row.most for row in published.LIMITS
        if row.counted is published.Counted.CONNECTIONS and Kind.SUBMISSION in row.kinds
    }  # fmt: skip
    together: dict[str, int] = {}
    for i, route in enumerate(routes):
        if route.kind is not Kind.SUBMISSION:
            continue
        for name in dict.fromkeys(login.username.lower() for login in route.logins):
            together[name] = together.get(name, 0) + route.connections
            if together[name] > most:
                found.warning(
                    f"route[{i}].connections",
                    f"with this route there are {together[name]} for the mailbox {name}; Microsoft allows {most}",
                )


def _same(limit: Limit) -> tuple[object, ...]:
    return limit.scope, limit.unit, limit.window_s, limit.since_midnight


def _of_kind(kind: Kind, tenant: TenantTable | None) -> list[Limit]:
    limits = []
    for row in published.LIMITS:
        scope, unit = _PUBLISHED_SCOPES.get(row.scope), _PUBLISHED_UNITS.get(row.counted)
        if kind in row.kinds and scope is not None and unit is not None and row.window_s is not None:
            limits.append(Limit(scope, unit, row.most, row.window_s))
    counts = any(kind in row.kinds for row in published.LIMITS if row.scope is Whose.TENANT_EXTERNAL)
    if counts and (outside := _outside(tenant)) is not None:
        limits.append(Limit(Scope.TENANT, Unit.EXTERNAL_RECIPIENTS, outside, DAY_S))
    return limits


def _outside(tenant: TenantTable | None) -> int | None:
    """External recipients a day; None when nobody said how many."""
    if tenant is None:
        return None
    if tenant.licences is not None:
        return published.terrl(tenant.licences)
    return tenant.external_recipients_per_day


def _limit(found: Findings, key: str, table: RouteLimitTable, route: Route) -> Limit | None:
    since_midnight = bool(table.since_midnight)
    if (table.per is None) != since_midnight:
        wrong = "is missing" if table.per is None else "and since_midnight exclude each other"
        found.problem(f"{key}.per", f'{wrong}; write per = "1m", or since_midnight = true for days (UTC)')
        return None
    scope = table.scope or ("mailbox" if route.logins else "route")
    if scope == "mailbox" and not route.logins:
        found.problem(f"{key}.scope", 'is "mailbox", and the route has no username; write "route"')
        return None
    window_s = DAY_S if since_midnight else int(table.per or 0)
    return Limit(_SCOPES[scope], UNITS[table.of], table.count, window_s, since_midnight)
