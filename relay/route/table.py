"""Which route a mail takes: the first one whose rules match.

A route matches when it has no rules, or when one of its `recipients` matches the
recipient, or one of its `senders` the sender. A rule is one of

    a@example.com   this address
    example.com     every address of this domain, not of its subdomains
    *.example.com   every address of a subdomain, at any depth, not of the domain
    <>              the null sender (in `senders`)

ASCII letters match in either case, in local parts too: no server in use tells
them apart, and a rule that missed `Bob@` would surprise. All rules stand in two
dictionaries, so that a choice costs as many look-ups as the domain has labels,
however many routes there are; the last addresses asked for are remembered.
"""

from collections.abc import Iterator, Sequence

from relay.route.route import Route

CACHE_MAX = 4096
"""Addresses remembered for each side. A campaign has few senders and many recipients of few
domains; at about 150 bytes each this bounds the memory to 1.2 MB, and starting over is cheap."""


class RouteTable:
    """The routes in the order of the configuration."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = tuple(routes)
        self._names = {route.name: route for route in routes}
        if len(self._names) != len(self._routes):
            raise ValueError("two routes have the same name")
        self._none = len(self._routes)
        catch_all = (i for i, route in enumerate(routes) if not route.recipients and not route.senders)
        self._catch_all = next(catch_all, self._none)
        self._recipients = _Rules([route.recipients for route in routes], self._none)
        self._senders = _Rules([route.senders for route in routes], self._none)

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes, in order."""
        return self._routes

    def get(self, name: str) -> Route | None:
        """The route of that name."""
        return self._names.get(name)

    def choose(self, sender: bytes, recipient: bytes) -> Route | None:
        """The first route that matches, or None; both addresses without angle brackets."""
        first = min(self._catch_all, self._recipients.first(recipient), self._senders.first(sender))
        return None if first == self._none else self._routes[first]


class _Rules:
    """The rules of all routes about one side, each with the first route that has it."""

    def __init__(self, rules: Sequence[Sequence[str]], none: int) -> None:
        self._first: dict[bytes, int] = {}
        self._none = none
        self._cache: dict[bytes, int] = {}
        for index, patterns in enumerate(rules):
            for pattern in patterns:
                self._first.setdefault(rule_key(pattern), index)

    def first(self, address: bytes) -> int:
        """The lowest index of a route with a rule that matches, or `none`."""
        if not self._first:
            return self._none
        index = self._cache.get(address)
        if index is None:
            index = min((self._first.get(key, self._none) for key in keys_of(address)), default=self._none)
            if len(self._cache) >= CACHE_MAX:
                self._cache.clear()
            self._cache[address] = index
        return index


def rule_key(pattern: str) -> bytes:
    """A rule as it stands in the dictionary; domains begin with `@` and subdomains with `.`."""
    key = pattern.strip().lower().encode()
    if key.startswith(b"*."):
        return key[1:]
    if key == b"<>" or b"@" in key:
        return key
    return b"@" + key


def keys_of(address: bytes) -> Iterator[bytes]:
    """Every key a rule could have that matches the address, the narrowest first."""
    if not address:
        yield b"<>"
        return
    address = address.lower()
    yield address
    # The last `@`: a quoted local part may hold others (RFC 5321 section 4.1.2).
    domain = address[address.rfind(b"@") + 1 :]
    yield b"@" + domain
    dot = domain.find(b".")
    while dot != -1:
        yield domain[dot:]
        dot = domain.find(b".", dot + 1)
