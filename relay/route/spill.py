"""Spill-over: where a mail may go instead while its route may not or cannot take it.

A route names one other (`Route.spill`). That one's matches are not asked: it was named
for what is left over. Its rules are (`relay.route.rule`): its next hop would refuse what
breaks them. Where a mail may not spill it waits for its own route.
"""

from collections.abc import Iterable

from relay.message.envelope import Envelope
from relay.route.route import Route
from relay.route.rule import Author
from relay.route.table import RouteTable


def may_spill(
    table: RouteTable, route: Route, envelope: Envelope, recipients: Iterable[bytes], author: Author
) -> Route | None:
    """The route to which these recipients of a mail may spill from `route`; None: they wait.

    One step only: when that route is full too, ask again for it. `author` is called when
    the answer depends on it and on nothing else.
    """
    spill = table.get(route.spill) if route.spill else None
    if spill is None:
        return None
    return spill if table.rules(spill.name).broken(envelope, recipients, author) is None else None
