"""Which route a recipient of a mail takes: the first one that matches and whose rules the mail keeps.

A route matches when one of its matches fits, or when it has none. It is chosen in two steps:

    possible    at RCPT, when sender, recipient and client are known: does any route lead there?
    choose      when the data has ended, and size, priority, campaign and From are known too

Where nothing asks for what is known late, the first step has decided. What a mail fits is
found by masks (`relay.route.mask`): a few look-ups, however many routes there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import structs

from relay.message.envelope import Envelope, Recipient
from relay.message.priority import Priority
from relay.route.mask import (
    CACHE_MAX,
    Addresses,
    Campaigns,
    Clients,
    Sizes,
    indices,
    mask,
    rows_of,
    taking_priority,
)
from relay.route.match import Side
from relay.route.route import Route
from relay.route.rule import Author, Rule, Rules, is_author
from relay.route.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Possible:
    """Routes lead there."""

    route: Route
    """The first of them."""
    size_max: int
    """No larger mail can go by any of them; 0: no bound."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """No route does."""

    recipient: bytes
    rule: Rule | None = None
    """What the first route that matches would not take; None: no route matches."""
    size_max: int = 0
    """With Rule.SIZE: what a mail to this recipient may have."""


class RouteTable:
    """The routes in the order of the configuration."""

    def __init__(
        self,
        routes: Sequence[Route],
        tenant: Tenant | None = None,
        bounds: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """ValueError for two routes of one name, and for what their parts refuse. Without a tenant nobody is inside.

        `bounds`: by the name of a client, the routes that it may take.
        """
        tenant = tenant or Tenant()
        self._routes = tuple(routes)
        self._names = {route.name: route for route in routes}
        if len(self._names) != len(self._routes):
            raise ValueError("two routes have the same name")
        self._rules = {route.name: Rules(route, tenant) for route in routes}
        self._rows = [row for route in routes for row in rows_of(route)]
        self._is_inside = tenant.is_inside
        self._bounds = bounds or {}
        self._compile()

    def _compile(self) -> None:
        rows = self._rows
        asks_for_side = any(row.match.recipients_are or row.route.internal_only for row in rows)
        self._inside = mask(rows, lambda row: row.match.recipients_are is not Side.OUTSIDE)
        self._outside = mask(rows, lambda row: row.match.recipients_are is not Side.INSIDE)
        self._open = mask(rows, lambda row: not row.route.internal_only)
        rows_by_route: dict[str, int] = {}
        for index, row in enumerate(rows):
            rows_by_route[row.route.name] = rows_by_route.get(row.route.name, 0) | 1 << index
        self._asking = [
            (rules, rows_by_route[name]) for name, rules in self._rules.items() if rules.asks_for_sender
        ]
        self._fixed = mask(rows, lambda row: row.route.sender_fixed)
        self._senders = Addresses(
            [row.match.senders for row in rows], self._taking_sender if self._asking else None
        )
        self._recipients = Addresses(
            [row.match.recipients for row in rows], self._taking_recipient if asks_for_side else None
        )
        self._clients = Clients(rows, self._bounds)
        self._sizes = Sizes(rows)
        self._campaigns = Campaigns(rows)
        self._priorities = {priority: taking_priority(rows, priority) for priority in Priority}
        self._possible: dict[int, Possible] = {}
        self.decides_early = not (
            self._fixed
            or self._sizes.asks
            or self._campaigns.asks
            or any(row.match.priorities for row in rows)
        )
        """Nothing asks for what is known only when the data has ended."""

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes, in order."""
        return self._routes

    def get(self, name: str) -> Route | None:
        """The route of that name."""
        return self._names.get(name)

    def rules(self, name: str) -> Rules:
        """The rules of the route of that name; KeyError when there is none."""
        return self._rules[name]

    def possible(
        self, sender: bytes, recipient: bytes, client: str = "", account: str = ""
    ) -> Possible | Refusal:
        """Which routes lead to a recipient, whatever the rest of the mail turns out to be.

        Both addresses without angle brackets; `account` is the client's name where it has proved who it is.
        """
        found = self._senders.of(sender) & self._recipients.of(recipient)
        if self._clients.asks:
            found &= self._clients.of(client, account)
        return self._found(found) or self._why(sender, recipient, client, account)

    def choose(self, envelope: Envelope, author: Author) -> tuple[Recipient, ...] | Refusal:
        """The recipients with their routes; a Refusal when one has none, for what is answered is the mail as a whole."""
        if self.decides_early:
            return envelope.recipients
        sized = self._sizes.of(envelope.size)
        late = self._priorities[envelope.priority] & self._campaigns.of(envelope.campaign)
        late &= self._clients.of(envelope.client, envelope.account)
        unfit = self._unfit(envelope, late & sized, author)
        fitting = late & sized & ~unfit & self._senders.of(envelope.sender)
        chosen: list[Recipient] = []
        for each in envelope.recipients:
            found = self._found(fitting & self._recipients.of(each.address))
            if found is None:
                return self._why_not(envelope, each.address, late, sized, unfit)
            name = found.route.name
            chosen.append(each if each.route == name else structs.replace(each, route=name))
        return tuple(chosen)

    def _found(self, rows: int) -> Possible | None:
        found = self._possible.get(rows)
        if found is None and rows:
            which = [self._rows[index] for index in indices(rows)]
            bounds = [row.size_max for row in which]
            found = Possible(which[0].route, max(bounds) if all(bounds) else 0)
            if len(self._possible) >= CACHE_MAX:
                self._possible.clear()
            self._possible[rows] = found
        return found

    def _unfit(self, envelope: Envelope, rows: int, author: Author) -> int:
        """Rows whose route does not take the mail's From, which is read only when that matters."""
        fixed = self._fixed and self._fixed & rows & self._senders.of(envelope.sender)
        if not fixed:
            return 0
        return 0 if is_author(envelope.sender, author()) else self._fixed

    def _taking_recipient(self, address: bytes) -> int:
        return self._inside if self._is_inside(address) else self._outside & self._open

    def _taking_sender(self, sender: bytes) -> int:
        found = -1
        for rules, rows in self._asking:
            if not rules.take_sender(sender):
                found &= ~rows
        return found

    def _why(self, sender: bytes, recipient: bytes, client: str, account: str, late: int = -1) -> Refusal:
        """Why no route leads there; `late` are the rows that fit in all that is known late."""
        refusal = self._why_of(sender, recipient, late & self._clients.of(client, account))
        if refusal.rule is None and self._clients.are_bound(account):
            free = self._senders.of(sender) & self._recipients.of(recipient) & late
            if free & self._clients.of(client, ""):
                return Refusal(recipient, Rule.CLIENT)
        return refusal

    def _why_of(self, sender: bytes, recipient: bytes, rest: int) -> Refusal:
        side = self._inside if self._is_inside(recipient) else self._outside
        rows = self._senders.fitting(sender) & self._recipients.fitting(recipient) & side & rest
        found = self._found(rows)
        if found is None:
            return Refusal(recipient)
        rules = self._rules[found.route.name]
        return Refusal(recipient, Rule.SENDER if rules.take_recipient(recipient) else Rule.INTERNAL_ONLY)

    def _why_not(self, envelope: Envelope, recipient: bytes, late: int, sized: int, unfit: int) -> Refusal:
        """The same at the end of the data. What the sender of the mail can mend comes first: its size, its From."""
        rows = late & self._senders.of(envelope.sender) & self._recipients.of(recipient)
        found = self._found(rows & ~unfit)
        if found is not None:
            is_too_large = found.size_max and envelope.size > found.size_max
            return Refusal(recipient, Rule.SIZE, found.size_max) if is_too_large else Refusal(recipient)
        if rows & sized:
            return Refusal(recipient, Rule.AUTHOR)
        return self._why(envelope.sender, recipient, envelope.client, envelope.account, late & sized)
