"""Which mail reaches a route: routes that none can, and where mail goes that spills over."""

from collections.abc import Sequence

from relay.config.findings import Findings
from relay.config.limit_table import TenantTable
from relay.config.match import NO_DOMAINS
from relay.config.model import RouteTable
from relay.route.route import Route


def check_rules(
    found: Findings, key: str, table: RouteTable, route: Route, tenant: TenantTable | None
) -> None:
    """A rule that no mail could keep is a mistake."""
    if route.internal_only and not (tenant and tenant.domains):
        whose = "" if table.internal_only else f' (of kind = "{route.kind.value}")'
        found.problem(f"{key}.internal_only", f"is true{whose} and {NO_DOMAINS}; or internal_only = false")
    if table.sender_fixed and not route.logins:
        found.problem(f"{key}.sender_fixed", "is true and the route has no mailbox that could be the sender")


def check_reach(found: Findings, routes: Sequence[Route], message_bytes: int) -> None:
    """Warn of routes that no mail takes; `message_bytes` is the largest mail a client may send."""
    spilled_to = {route.spill for route in routes}
    for i, route in enumerate(routes):
        earlier = (j for j in range(i) if _takes_every_mail(routes[j], message_bytes))
        first = next(earlier, None)
        if first is not None and route.name not in spilled_to:
            found.warning(
                f"route[{i}]",
                f'is never used, since route[{first}] ("{routes[first].name}") before it takes every mail',
            )


def check_spill(found: Findings, routes: Sequence[Route]) -> None:
    """Each names another route, and none comes back to where it began."""
    index = {route.name: i for i, route in enumerate(routes)}
    spills = {route.name: route.spill for route in routes}
    for i, route in enumerate(routes):
        key = f"route[{i}].spill"
        if route.spill and route.spill not in index:
            found.problem(key, f'names no route: "{route.spill}"; there are {", ".join(index)}')
            continue
        path = [route.name]
        while (follows := spills.get(path[-1])) and follows not in path:
            path.append(follows)
        # Of a circle only the first of its routes tells.
        if follows == route.name and i == min(index[name] for name in path):
            found.problem(
                key,
                f"comes back to where it began ({' → '.join([*path, route.name])}); leave one of them out",
            )


def _takes_every_mail(route: Route, message_bytes: int) -> bool:
    """But for what a match or a rule leaves to others."""
    if route.recipients or route.senders or route.matches or route.internal_only or route.sender_fixed:
        return False
    if route.mailboxes and all(rule.senders for rule in route.mailbox_rules):
        return False
    # What we add to the largest mail may exceed it, but no route is meant for such a mail.
    return not route.message_size_bytes or route.message_size_bytes >= message_bytes
