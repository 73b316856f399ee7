"""From `[learning]` to the learning mode's options, with the bounds that make it a passing thing.

A moment that is over is no problem: the relay must start on the day after as on the day before.
"""

import datetime
from collections.abc import Sequence
from ipaddress import IPv4Network, ip_network

from relay.config.findings import Findings
from relay.config.learning_table import LearningTable
from relay.config.options import given
from relay.receive.learning_options import LearningOptions
from relay.receive.learning_watch import moment
from relay.receive.options import Auth, ListenerOptions
from relay.route.route import Route
from relay.route.tenant import Tenant

DAYS_MAX = 90
"""A migration that takes longer goes on under a new date: somebody looks again."""
PREFIX_LEAST_V4 = 16
PREFIX_LEAST_V6 = 48
"""A site. A wider network is not one where somebody knows what stands in it."""
DAY_S = 86_400.0


def build_learning(
    found: Findings,
    table: LearningTable | None,
    routes: Sequence[Route],
    tenant: Tenant,
    listeners: Sequence[ListenerOptions],
) -> LearningOptions | None:
    """The options; None: the mode is off."""
    if table is None:
        return None
    until = _ends(table.until)
    for i, network in enumerate(table.networks):
        _check_network(found, f"learning.networks[{i}]", network)
    names = [route.name for route in routes]
    if table.route not in names:
        found.problem(
            "learning.route", f'names no route: "{table.route}"; there are {", ".join(names) or "none"}'
        )
    if not tenant.domains:
        found.problem(
            "learning",
            "needs [tenant] domains: unknown devices send as these, and to nobody else; "
            'write domains = ["contoso.com"]',
        )
    if until > found.now + DAYS_MAX * DAY_S:
        latest = moment(found.now + DAYS_MAX * DAY_S)
        found.problem("learning.until", f"must be within {DAYS_MAX} days from now, that is until {latest}")
    options = LearningOptions(tuple(table.networks), table.route, until, tenant.domains)
    options = given(options, table, skip={"networks", "route", "until", "senders"})
    _warn(found, options, listeners)
    return options


def _ends(until: datetime.date) -> float:
    """Of a date, the end of the day."""
    if isinstance(until, datetime.datetime):
        return until.timestamp()
    begin = datetime.datetime.combine(until, datetime.time(), datetime.UTC)
    return (begin + datetime.timedelta(days=1)).timestamp()


def _check_network(found: Findings, key: str, text: str) -> None:
    network = ip_network(text)
    least = PREFIX_LEAST_V4 if isinstance(network, IPv4Network) else PREFIX_LEAST_V6
    if network.prefixlen < least:
        found.problem(
            key,
            f'"{text}" is too wide: everybody in it could send as one of yours; '
            f"write networks of /{least} or narrower, where the devices are",
        )
    elif not (network.is_private or network.is_loopback):
        found.warning(
            key, f'"{text}" is reached from everywhere; be sure that only your devices have its addresses'
        )


def _warn(found: Findings, options: LearningOptions, listeners: Sequence[ListenerOptions]) -> None:
    networks = ", ".join(options.networks)
    if options.until <= found.now:
        found.warning(
            "learning", f"is over since {moment(options.until)} and lets nobody in; remove the table"
        )
        return
    to = "anybody" if options.outside else "recipients inside"
    found.warning(
        "learning",
        f"is on until {moment(options.until)}: any device in {networks} may send as {', '.join(options.senders)} "
        f'to {to} by the route "{options.route}", without proving who it is',
    )
    for i, listener in enumerate(listeners):
        if listener.auth is not Auth.REQUIRED and _overlap(listener.networks, options.networks):
            found.warning(
                f"listener[{i}].networks",
                "serves addresses of learning.networks without any rule; as long as the learning mode is on, "
                f"its rules hold for them ({options.messages_per_day} messages a day and so on)",
            )


def _overlap(some: Sequence[str], others: Sequence[str]) -> bool:
    pairs = ((ip_network(one), ip_network(other)) for one in some for other in others)
    return any(
        (isinstance(one, IPv4Network) and isinstance(other, IPv4Network) and one.overlaps(other))
        or (not isinstance(one, IPv4Network) and not isinstance(other, IPv4Network) and one.overlaps(other))
        for one, other in pairs
    )
