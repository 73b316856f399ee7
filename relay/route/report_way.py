"""The way of a report to the one it is for: a route, and the envelope sender it takes.

A report has the null sender (RFC 5321 section 6.1). A mailbox of Microsoft's sends for itself
and those it was allowed to only, and for the null sender never: there, and where no route
leads from the null sender, the sender stands in that the administrator has named, or the
first mailbox of the route, which may always send as itself.
"""

from dataclasses import dataclass
from functools import partial

from relay.m365.preset import Kind
from relay.message.envelope import Envelope, Recipient
from relay.route.route import Route
from relay.route.table import Possible, Refusal, RouteTable

SIZE_BYTES = 10_000
"""A report, for routes that ask; it is composed when its way is known."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a report goes."""

    route: Route
    sender: bytes = b""
    """Of its envelope."""


def way_to(
    recipient: bytes, routes: RouteTable, route_name: str, sender: str, author: str = ""
) -> Way | None:
    """By the route of that name if there is one named, else as the table says of a small mail of normal priority.

    `sender` stands in for the null one; `author` is From's address, empty: the sender.
    """
    choose = partial(_route, recipient=recipient, routes=routes, name=route_name, author=author.encode())
    route = choose(b"")
    if route is not None and takes_null_sender(route):
        return Way(route)
    if sender:
        route = choose(sender.encode())
        return None if route is None else Way(route, sender.encode())
    for each in routes.routes if not route_name else (route,):
        own = None if each is None else own_sender(each)
        if each is not None and own is not None and choose(own) is each:
            return Way(each, own)
    return None


def takes_null_sender(route: Route) -> bool:
    """Whether mail from `<>` may go by it."""
    return route.kind is Kind.SMTP or not route.logins


def own_sender(route: Route) -> bytes | None:
    """The first mailbox of the route; None when it has none that is an address."""
    names = (login.username for login in route.logins)
    return next((name.encode() for name in names if "@" in name and name.isascii()), None)


def _route(sender: bytes, recipient: bytes, routes: RouteTable, name: str, author: bytes) -> Route | None:
    if name:
        return routes.get(name)
    found = routes.possible(sender, recipient)
    if not isinstance(found, Possible):
        return None
    to = Recipient(recipient, found.route.name)
    mail = Envelope(0, sender, (to,), 0.0, SIZE_BYTES, 1, client="")
    chosen = routes.choose(mail, lambda: author or sender)
    return None if isinstance(chosen, Refusal) else routes.get(chosen[0].route)
