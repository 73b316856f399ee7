"""What would make it earlier: the same forecast with one thing changed, for each thing there is to change.

Only what helps is told, the greatest gain first. Nothing here says what is wise: twice a
limit of Microsoft's cannot be set, only asked for or bought.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import structs

from relay.budget.limit import Scope, Unit
from relay.budget.standing import Standing
from relay.message.priority import Priority
from relay.queue.forecast import forecast
from relay.queue.situation import Aside, Errand, Forecast, Kind, Sender, Situation
from relay.queue.walk import BEFORE, CONNECTIONS, words
from relay.route.hours import ZoneOf

LEAST_GAIN = 0.01
"""Of the time that it takes; less is not worth a line."""
LIMITS_MAX = 3
"""Limits that are tried doubled: those that hold it up longest."""
TOGETHER = 10
"""Recipients in one mail, where a limit counts mails."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing, and what comes of it."""

    change: str
    told: Forecast
    gain_s: float | None
    """How much earlier; None: without it, it is never done."""


def remedies(situation: Situation, errand: Errand, told: Forecast, zone_of: ZoneOf) -> list[Remedy]:
    """Those that help, the greatest gain first."""
    found = []
    for change, other, instead in _changes(situation, errand, told, zone_of):
        then = forecast(other, instead, zone_of)
        if then.done_s is None:
            continue
        if told.done_s is None:
            found.append(Remedy(change, then, None))
        elif told.done_s - then.done_s > LEAST_GAIN * (told.done_s - errand.from_s):
            found.append(Remedy(change, then, told.done_s - then.done_s))
    return sorted(found, key=lambda remedy: remedy.told.done_s or 0.0)


def held_back(
    asides: tuple[Aside, ...], sender_domain: str, campaign: str, *, is_external: bool
) -> Aside | None:
    """What holds this mail back whoever sends it; of several that which does so longest."""
    names = {"campaign": campaign, "sender-domain": sender_domain}
    found = [
        each
        for each in asides
        if (each.what == "outside" and is_external) or (each.name and names.get(each.what) == each.name)
    ]
    return max(found, key=lambda each: float("inf") if each.until_s is None else each.until_s, default=None)


def _changes(
    situation: Situation, errand: Errand, told: Forecast, zone_of: ZoneOf
) -> Iterator[tuple[str, Situation, Errand]]:
    yield from _without_stops(situation, errand)
    senders = [situation.senders[each] for each in errand.senders]
    if senders and senders[0].identity:
        text = "a second mailbox" if len(senders) == 1 else f"{_ordinal(len(senders) + 1)} mailbox"
        yield f"{text} in the pool of the route {senders[0].route}", *_with_another(situation, errand)
    for priority in Priority:
        if priority < errand.priority:
            text = f"priority {priority.word} instead of {Priority(errand.priority).word}"
            yield text, situation, structs.replace(errand, priority=int(priority))
    bound = _bound(told)
    for index in bound[:LIMITS_MAX]:
        yield _widened(situation, errand, told, index, zone_of)
    by_messages = any(situation.standings[index].unit == Unit.MESSAGES.name.lower() for index in bound)
    if by_messages and errand.kind.recipients == 1 and errand.mails >= TOGETHER:
        kind = errand.kind
        together = Kind(TOGETHER, kind.external * TOGETHER, kind.size)
        instead = structs.replace(errand, mails=errand.mails / TOGETHER, kind=together)
        yield f"{TOGETHER} recipients in each mail", situation, instead
    if errand.hours:
        at_any_time = tuple(structs.replace(each, hours=()) for each in situation.backlogs)
        other = structs.replace(situation, backlogs=at_any_time)
        yield "no [[route.hours]] for such mail", other, structs.replace(errand, hours=())
    if any(stretch.limit == CONNECTIONS for stretch in told.stretches):
        faster = [structs.replace(each, connections=2 * each.connections, every_s=each.every_s / 2)
                  for each in situation.senders]  # fmt: skip
        yield "twice as many connections", structs.replace(situation, senders=tuple(faster)), errand
    if situation.backlogs and (told.done_s is None or any(each.limit == BEFORE for each in told.stretches)):
        yield "nothing before it in the queue", structs.replace(situation, backlogs=()), errand


def _without_stops(situation: Situation, errand: Errand) -> Iterator[tuple[str, Situation, Errand]]:
    if errand.stopped:
        going = structs.replace(errand, stopped="", stopped_for_good=False, from_s=0.0)
        yield f"that it goes on now: {errand.stopped}", situation, going
    stopped = [situation.senders[each] for each in errand.senders if situation.senders[each].stopped]
    if stopped:
        senders = tuple(
            structs.replace(each, closed_s=0.0, stopped_for_good=False, stopped="")
            for each in situation.senders
        )
        text = f"that it goes on now: {stopped[0].stopped}"
        yield text, structs.replace(situation, senders=senders), errand


def _bound(told: Forecast) -> list[int]:
    """Limits that hold it up, the longest first."""
    seconds: dict[int, float] = {}
    for stretch in told.stretches:
        if stretch.standing >= 0:
            seconds[stretch.standing] = seconds.get(stretch.standing, 0.0) + stretch.end_s - stretch.begin_s
    return sorted(seconds, key=lambda index: -seconds[index])


def _widened(
    situation: Situation, errand: Errand, told: Forecast, index: int, zone_of: ZoneOf
) -> tuple[str, Situation, Errand]:
    """Twice the limit; and twice the next one, where that alone holds it up as long."""
    wider = _doubled(situation, index)
    text = f"twice {words(situation, index)}"
    then = forecast(wider, errand, zone_of)
    if told.done_s is not None and then.done_s is not None and then.done_s >= 0.99 * told.done_s:
        others = [each for each in _bound(then) if each != index]
        if others:
            return f"{text}, and twice {words(situation, others[0])}", _doubled(wider, others[0]), errand
    return text, wider, errand


def _doubled(situation: Situation, index: int) -> Situation:
    standing = situation.standings[index]
    wider = structs.replace(
        standing, count=2 * standing.count, ahead=tuple(2 * each for each in standing.ahead)
    )
    standings = (*situation.standings[:index], wider, *situation.standings[index + 1 :])
    return structs.replace(situation, standings=standings)


def _with_another(situation: Situation, errand: Errand) -> tuple[Situation, Errand]:
    """A mailbox like the first one, of which nothing is used yet, for all mail of the same pool."""
    model = situation.senders[errand.senders[0]]
    standings: list[Standing] = list(situation.standings)
    own = []
    for index in model.standings:
        standing = situation.standings[index]
        if standing.scope == Scope.MAILBOX.name.lower():
            interval_s = standing.window_s / standing.count
            own.append(len(standings))
            standings.append(structs.replace(standing, key="another", open=0, blocks=(), paced_s=-interval_s))
        else:
            own.append(index)
    another = Sender(
        model.route, "another", tuple(own), model.connections, model.seconds, model.every_s, model.is_measured
    )
    place = len(situation.senders)
    backlogs = [
        structs.replace(each, senders=(*each.senders, place)) if set(each.senders) == set(errand.senders) else each
        for each in situation.backlogs
    ]  # fmt: skip
    larger = structs.replace(
        situation, senders=(*situation.senders, another), standings=tuple(standings), backlogs=tuple(backlogs)
    )
    return larger, structs.replace(errand, senders=(*errand.senders, place))


def _ordinal(number: int) -> str:
    return {2: "a second", 3: "a third"}.get(number, f"a {number}th")
