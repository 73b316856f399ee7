"""The way of a report to the one it is for: a route, and the envelope sender it takes.

A report has the null sender (RFC 5321 section 6.1). A mailbox of Microsoft's sends for itself
and those it was allowed to only, and for the null sender never: there, and where no route
leads from the null sender, the sender stands in that the administrator has named, or the
first mailbox of the route, which may always send as itself.
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
    route = _route(b"", recipient, routes, route_name)
    if route is not None and takes_null_sender(route):
        return Way(route)
    if sender:
        route = _route(sender.encode(), recipient, routes, route_name)
        return None if route is None else Way(route, sender.encode())
    for each in routes.routes if not route_name else (route,):
        own = None if each is None else own_sender(each)
        if each is not None and own is not None and _route(own, recipient, routes, route_name) is each:
            return Way(each, own)
    return None


def takes_null_sender(route: Route) -> bool:
    """Whether mail from `<>` may go by it."""
    return route.kind is Kind.SMTP or not route.logins


def own_sender(route: Route) -> bytes | None:
    """The first mailbox of the route; None when it has none that is an address."""
    names = (login.username for login in route.logins)
    return next((name.encode() for name in names if "@" in name and name.isascii()), None)


def _route(sender: bytes, recipient: bytes, routes: RouteTable, name: str) -> Route | None:
    if name:
        return routes.get(name)
    found = routes.possible(sender, recipient)
    return found.route if isinstance(found, Possible) else None
