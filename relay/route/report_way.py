"""The way of a report to the one it is for: a route, and the envelope sender it takes.

A report has the null sender (RFC 5321 section 6.1). A mailbox of Microsoft's sends for itself
and those it was allowed to only, and for the null sender never: there, and where no route
leads from the null sender, a known sender stands in, if the administrator has named one.
"""

from dataclasses import dataclass

from relay.m365.preset import Kind
from relay.route.route import Route
from relay.route.table import Possible, RouteTable


@dataclass(frozen=True, slots=True)
class Way:
    """How a report goes."""

    route: Route
    sender: bytes = b""
    """Of its envelope."""


def way_to(recipient: bytes, routes: RouteTable, route_name: str, sender: str) -> Way | None:
    """By the route of that name if there is one named, else as the table says; `sender` stands in for the null one."""
    for each in (b"", sender.encode()) if sender else (b"",):
        route = _route(each, recipient, routes, route_name)
        if route is not None and (each or takes_null_sender(route)):
            return Way(route, each)
    return None


def takes_null_sender(route: Route) -> bool:
    """Whether mail from `<>` may go by it."""
    return route.kind is Kind.SMTP or not route.logins


def _route(sender: bytes, recipient: bytes, routes: RouteTable, name: str) -> Route | None:
    if name:
        return routes.get(name)
    found = routes.possible(sender, recipient)
    return found.route if isinstance(found, Possible) else None
