"""`m365-relay plan`: when a campaign would be done with the budgets as they are, and what would make it earlier.

The route is chosen by the configuration as for a mail that comes now; how things stand says
the relay that runs, or the spool while none does; the forecast is made here, so that
no question holds up mail.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import typer
from msgspec import Struct, structs

from relay.cli import plan_offline
from relay.cli.asking import NotDone
from relay.cli.plan_show import show
from relay.cli.selecting import moment_of
from relay.config.configuration import Configuration
from relay.config.read import find, read
from relay.control.answer import Standing
from relay.control.client import NotRunning, ask
from relay.control.request import Plan
from relay.message.envelope import Envelope, Recipient
from relay.message.priority import PRIORITIES
from relay.process.exits import Exit
from relay.queue.denial import domain_of
from relay.queue.forecast import forecast
from relay.queue.party import NEW
from relay.queue.remedy import held_back, remedies
from relay.queue.situation import Errand, Forecast, Kind, Situation
from relay.queue.weights import Weights
from relay.route.hours import concerning
from relay.route.mailbox import Mailboxes
from relay.route.route import Route
from relay.route.table import Refusal, RouteTable

OUTSIDE = "somebody@example.net"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for."""

    recipients: int
    sender: str
    together: int
    """Recipients of one mail."""
    size: int
    inside: float
    """The part of the recipients that is inside the tenant."""
    priority: str
    campaign: str
    to: str
    """A recipient by whom the route is chosen; empty: anybody."""
    client: str
    at: str


@dataclass(slots=True)
class _Way:
    """A route, and what goes by it."""

    route: Route
    recipients: int = 0
    external: int = 0


class Part(Struct, omit_defaults=True):
    """What goes by one route."""

    route: str
    senders: list[str]
    recipients: int
    mails: int
    done_at: float | None
    first_at: float | None
    trouble: str
    stretches: list["Leg"]
    remedies: list["Help"]


class Leg(Struct):
    """A time in which the same thing holds it up."""

    begins_at: float
    ends_at: float
    mails: int
    held_up_by: str


class Help(Struct):
    """Something that would make it earlier."""

    change: str
    done_at: float
    earlier_s: float | None
    then: str
    """What would hold it up most then."""


class Planned(Struct):
    """All of it."""

    asked_at: float
    from_at: float
    recipients: int
    sender: str
    priority: str
    done_at: float | None
    parts: list[Part]
    assumed: list[str]


def plan(config: Path | None, wanted: Wanted, *, as_json: bool) -> Exit:
    """Print it; FOUND when it is never done."""
    if wanted.priority not in PRIORITIES:
        raise typer.BadParameter(f'"{wanted.priority}": high, normal and bulk are', param_hint="--priority")
    configuration = read(find(config), time.time())
    ways = _ways(configuration, wanted)
    situation, senders = _situation(configuration, wanted, [way.route.name for way in ways])
    from_at = situation.at
    if wanted.at:
        from_at = moment_of(wanted.at, _local_now(), "--at").timestamp()
    weights = Weights(configuration.deliverer.weights, configuration.deliverer.campaign_weights)
    parts = [_part(situation, senders[way.route.name], way, wanted, from_at, weights) for way in ways]
    ends = [part.done_at for part in parts]
    done_at = None if None in ends else max(end for end in ends if end is not None)
    planned = Planned(
        situation.at, from_at, wanted.recipients, wanted.sender, wanted.priority, done_at, parts, list(situation.notes)
    )  # fmt: skip
    if as_json:
        print(msgspec.json.encode(planned).decode())
    else:
        show(planned)
    return Exit.OK if done_at is not None else Exit.FOUND


# Which way it goes.


def _ways(configuration: Configuration, wanted: Wanted) -> list[_Way]:
    """Routes, with how many of the recipients; NotDone."""
    tenant = configuration.tenant
    table = RouteTable(configuration.routes, tenant)
    inside = round(wanted.recipients * wanted.inside)
    sides = [(inside, False), (wanted.recipients - inside, True)]
    if wanted.to:
        sides = [(wanted.recipients, not tenant.is_inside(wanted.to.encode()))]
    found: dict[str, _Way] = {}
    for recipients, is_external in sides:
        if recipients:
            to = wanted.to or (OUTSIDE if is_external else _inside(configuration))
            route = _route(table, wanted, to)
            if not Mailboxes(route).of(wanted.sender.encode()):
                raise NotDone(
                    f"no mailbox of the route {route.name} may send for {wanted.sender}; "
                    "name one for it in [[route.mailbox]]"
                )
            way = found.setdefault(route.name, _Way(route))
            way.recipients += recipients
            way.external += recipients if is_external else 0
    return list(found.values())


def _inside(configuration: Configuration) -> str:
    if not configuration.tenant.domains:
        raise NotDone("nobody is inside: [tenant] domains names no domain; leave --inside out")
    return f"somebody@{configuration.tenant.domains[0].removeprefix('*.')}"


def _route(table: RouteTable, wanted: Wanted, to: str) -> Route:
    sender = wanted.sender.encode()
    envelope = Envelope(
        1, sender, (Recipient(to.encode(), ""),), time.time(), wanted.size, 1, "127.0.0.1",
        account=wanted.client, priority=PRIORITIES[wanted.priority], campaign=wanted.campaign,
    )  # fmt: skip
    possible = table.possible(sender, to.encode(), "127.0.0.1", wanted.client)
    if isinstance(possible, Refusal):
        raise _no_route(possible, wanted, to)
    if table.decides_early:
        return possible.route
    chosen = table.choose(envelope, lambda: sender)
    if isinstance(chosen, Refusal):
        raise _no_route(chosen, wanted, to)
    route = table.get(chosen[0].route)
    assert route is not None, "a route that was chosen is there"
    return route


def _no_route(refusal: Refusal, wanted: Wanted, to: str) -> NotDone:
    why = "no route matches" if refusal.rule is None else f"the rule of its route: {refusal.rule.value}"
    return NotDone(
        f"mail of {wanted.sender} to {to} would be refused ({why}); "
        "check-config shows the routes; --to, --client, --campaign and --size choose among them"
    )


# How things stand.


def _situation(
    configuration: Configuration, wanted: Wanted, routes: list[str]
) -> tuple[Situation, dict[str, tuple[int, ...]]]:
    try:
        for answer in ask(
            configuration.control.path, Plan(sender=wanted.sender, routes=tuple(routes), client=wanted.client)
        ):
            if "error" in answer:
                raise NotDone(f"{answer['error']}; {answer.get('hint', '')}")
            standing = msgspec.convert(answer["result"], Standing)
    except NotRunning:
        return plan_offline.situation(configuration, routes, wanted.sender.encode(), wanted.client)
    return standing.situation, standing.ways


# What comes of it.


def _part(
    situation: Situation,
    senders: tuple[int, ...],
    way: _Way,
    wanted: Wanted,
    from_at: float,
    weights: Weights,
) -> Part:
    route, recipients = way.route, way.recipients
    together = min(wanted.together, route.recipients_per_message or wanted.together, recipients)
    kind = Kind(together, together * way.external / recipients, wanted.size)
    mails = recipients / together
    domain = domain_of(wanted.sender.encode()).decode()
    aside = held_back(situation.asides, domain, wanted.campaign, is_external=way.external > 0)
    from_s = max(0.0, from_at - situation.at)
    priority = PRIORITIES[wanted.priority]
    errand = Errand(
        senders, int(priority), mails, kind, from_s, client=wanted.client or NEW,
        weight=weights.of_client(wanted.client), campaign=wanted.campaign,
        campaign_weight=weights.of_campaign(wanted.campaign),
        hours=concerning(route.hours, priority, wanted.campaign),
    )  # fmt: skip
    if aside is not None:
        errand = structs.replace(
            errand, from_s=max(from_s, aside.until_s or 0.0), stopped=aside.reason,
            stopped_for_good=aside.until_s is None,
        )  # fmt: skip
    told = forecast(situation, errand, ZoneInfo)
    return Part(
        route.name,
        [situation.senders[each].name for each in senders],
        recipients,
        -(-recipients // together),
        _at(situation, told.done_s),
        _at(situation, told.first_s),
        told.trouble,
        [
            Leg(situation.at + each.begin_s, situation.at + each.end_s, round(each.mails), each.limit)
            for each in told.stretches
        ],
        [
            Help(each.change, situation.at + (each.told.done_s or 0.0), each.gain_s, _most(each.told))
            for each in remedies(situation, errand, told, ZoneInfo)
        ],
    )


def _most(told: Forecast) -> str:
    """What holds it up longest."""
    longest = max(told.stretches, key=lambda each: each.end_s - each.begin_s, default=None)
    return "" if longest is None else longest.limit


def _at(situation: Situation, seconds: float | None) -> float | None:
    return None if seconds is None else situation.at + seconds


def _local_now() -> datetime:
    return datetime.now().astimezone()
