"""From `[[route.limit]]` and `[tenant]` to limits: those of the route's kind, and what is written here instead.

A written limit takes the place of the kind's for the same, counted over the same time; an
empty list takes all of them away. The tenant's limit to the outside is one for all routes
that Microsoft counts for it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from relay.budget.limit import DAY_S, Limit, Scope, Unit
from relay.config.findings import Findings
from relay.config.limit_table import UNITS, RouteLimitTable, TenantTable
from relay.config.match import NO_DOMAINS
from relay.config.model import RouteTable
from relay.config.options import given
from relay.config.ramp import with_ramp, wrong_ramp
from relay.errors import ConfigurationError
from relay.m365 import limit as published
from relay.m365.preset import Kind
from relay.m365.row import Scope as Whose
from relay.receive import roll
from relay.route.route import Route
from relay.route.tenant import Tenant, Unknown

RECIPIENTS_FILE = "recipients.list"
_SCOPES = {scope.name.lower(): scope for scope in Scope}
_PUBLISHED_SCOPES = {Whose.SENDER: Scope.MAILBOX, Whose.ROUTE: Scope.ROUTE}
_PUBLISHED_UNITS = {counted: UNITS[counted.value] for counted in published.Counted}
_AT_MX = (Kind.CONNECTOR, Kind.DIRECT)
_OF_EACH = (Scope.CLIENT, Scope.RECIPIENT)
"""Counted for each of them; there is no end of these."""


def build_tenant(found: Findings, table: TenantTable | None, spool: Path) -> Tenant:
    """Which domains are inside, and who; the list of the directory lies in the spool's folder."""
    if table is None:
        return Tenant()
    if table.licences is not None and table.external_recipients_per_day is not None:
        found.problem("tenant.licences", "and external_recipients_per_day exclude each other")
    if not table.domains and _outside(table) is not None:
        found.warning("tenant.domains", "is missing, so every recipient counts as external")
    file = found.optional_path(table.recipients_file)
    if file is not None:
        if not table.domains:
            found.problem("tenant.recipients_file", NO_DOMAINS)
        try:
            roll.load(file)
        except ConfigurationError as error:
            found.problem("tenant.recipients_file", str(error))
    tenant = Tenant(tuple(table.domains or ()), file)
    if table.recipients is not None:
        if not table.domains:
            found.problem("tenant.recipients", NO_DOMAINS)
        tenant = replace(tenant, recipients=spool / RECIPIENTS_FILE)
    if table.recipients_unknown is not None:
        tenant = replace(tenant, recipients_unknown=Unknown(table.recipients_unknown))
    skip = {"domains", "recipients_file", "recipients", "recipients_unknown"}
    tenant = given(tenant, table, skip=skip)
    if tenant.recipients_stale_s <= tenant.recipients_refresh_s:
        found.problem(
            "tenant.recipients_stale", "must be longer than recipients_refresh, or the list is never in force"
        )
    return tenant


def build_limits(
    found: Findings,
    key: str,
    of_route: RouteTable,
    route: Route,
    tenant: TenantTable | None,
) -> tuple[Limit, ...]:
    """The limits of one route."""
    tables = of_route.limit
    keeps = of_route.kind_limits is not False and (tables is None or tables)
    limits = {_same(row): row for row in _of_kind(route, tenant)} if keeps else {}
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
    """The routes of a mailbox share what Microsoft allows it; more than that is somebody's own risk."""
    (most,) = {
        row.most for row in published.LIMITS
        if row.counted is published.Counted.CONNECTIONS and Kind.SUBMISSION in row.kinds
    }  # fmt: skip
    for i, route in enumerate(routes):
        if route.kind is Kind.SUBMISSION and route.connections > most:
            found.warning(
                f"route[{i}].connections",
                f"is {route.connections} for a mailbox, and Microsoft allows {most}: more are refused after their whole mail",
            )


def _same(limit: Limit) -> tuple[object, ...]:
    return limit.scope, limit.unit, limit.window_s, limit.since_midnight


def _of_kind(route: Route, tenant: TenantTable | None) -> list[Limit]:
    limits, kind = [], route.kind
    for row in published.LIMITS:
        scope, unit = _PUBLISHED_SCOPES.get(row.scope), _PUBLISHED_UNITS[row.counted]
        if kind not in row.kinds or scope is None:
            continue
        if unit is Unit.CONNECTIONS:
            # What the route's own number allows is somebody's decision; fewer are learnt from refusals.
            most = max(row.most, route.connections) if scope is Scope.MAILBOX else row.most
            limits.append(Limit(scope, unit, most, least=1))
        elif row.window_s is not None:
            limits.append(Limit(scope, unit, row.most, row.window_s))
    if kind in _AT_MX:
        # Nobody publishes how many its hosts take: learnt from what they refuse.
        limits.append(Limit(Scope.FOREST, Unit.CONNECTIONS, route.connections, least=1))
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
    scope, unit = table.scope or ("mailbox" if route.logins else "route"), UNITS[table.of]
    wrong = (
        _wrong_window(table, unit)
        or _wrong_scope(scope, unit, route)
        or _wrong_count(table)
        or _wrong_least(scope, table)
        or wrong_ramp(table, unit)
    )
    if wrong:
        name, text = wrong
        found.problem(f"{key}.{name}", text)
        return None
    if table.ramp is not None:
        return with_ramp(_SCOPES[scope], unit, table)
    window_s = DAY_S if table.since_midnight else int(table.per or 0)
    return Limit(
        _SCOPES[scope], unit, table.count or 0, window_s, bool(table.since_midnight), least=table.least or 0
    )


def _wrong_window(table: RouteLimitTable, unit: Unit) -> tuple[str, str] | None:
    since_midnight = bool(table.since_midnight)
    if unit is Unit.CONNECTIONS:
        if table.per is not None or since_midnight:
            name = "per" if table.per is not None else "since_midnight"
            return name, "is of no use: connections are counted as they stand; leave it out"
    elif (table.per is None) != (since_midnight or table.ramp is not None):
        wrong = "is missing" if table.per is None else "and since_midnight exclude each other"
        return "per", f'{wrong}; write per = "1m", or since_midnight = true for days (UTC)'
    return None


def _wrong_scope(scope: str, unit: Unit, route: Route) -> tuple[str, str] | None:
    if scope == "mailbox" and not route.logins:
        return "scope", 'is "mailbox", and the route has no username; write "route"'
    if unit is Unit.CONNECTIONS and _SCOPES[scope] in _OF_EACH:
        return "scope", f'is "{scope}", and a connection carries mail of many; write "route" or "forest"'
    return None


def _wrong_count(table: RouteLimitTable) -> tuple[str, str] | None:
    if table.count is None and table.ramp is None:
        return "count", "is missing; it has no default"
    return None


def _wrong_least(scope: str, table: RouteLimitTable) -> tuple[str, str] | None:
    if table.least is None:
        return None
    if table.least > (table.count or 0):
        return "least", f"is {table.least}, above count = {table.count}: what is learnt lies between them"
    if _SCOPES[scope] in _OF_EACH:
        return "least", f'cannot be learnt for each {scope}; write scope = "route" or "source"'
    return None
