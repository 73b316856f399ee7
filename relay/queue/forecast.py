"""A forecast: when mail will have left, if nothing else comes and nothing goes wrong.

Mail is a stream. In each stretch of time every sender flows as fast as its connections and
its limits let it, shared between the priorities that wait as turns are (`relay.budget.turn`),
and between clients and campaigns by weight (`relay.queue.stream`); the stretch ends where
one of that changes: a backlog is over, a limit is used up, what was used comes free, a stop
ends, hours begin or end, a day begins on which another number holds. So a campaign of days is some hundred stretches, and what is
bound by the same limit all the while is told as one.

It agrees with the ledger within two sends of the limit that binds and one grain of the
large ones, and within 2 % where several small windows overlap (`tests/queue/test_forecast.py`). It leaves out what nobody knows: mail that is
yet to come, refusals, and limits whose key each mail brings (a client's, a recipient's).
"""

from collections.abc import Generator

from msgspec import structs

from relay.budget.limit import Unit
from relay.queue.situation import Errand, Forecast, Situation, Stretch
from relay.queue.walk import Walk, words
from relay.route.hours import ZoneOf

Steps = Generator[None, None, Forecast]
"""A forecast in the making."""
BRIEF = 0.01


def forecast(situation: Situation, errand: Errand, zone_of: ZoneOf) -> Forecast:
    """When the mail of the errand will have left; `zone_of` knows the clocks of time zones."""
    return at_once(foreseeing(situation, errand, zone_of))


def at_once(steps: Steps) -> Forecast:
    """What comes of the steps."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            told: Forecast = end.value
            return told


def foreseeing(situation: Situation, errand: Errand, zone_of: ZoneOf) -> Steps:
    """The same in steps of some 0.1 ms or less, for who has something else to do: behind 20,000 mails it takes 80 ms."""
    if errand.stopped_for_good or not errand.senders:
        return Forecast(None, trouble=errand.stopped or "nobody may send it")
    if all(situation.senders[each].stopped_for_good for each in errand.senders):
        return Forecast(None, trouble=situation.senders[errand.senders[0]].stopped)
    if (trouble := _too_large(situation, errand)) is not None:
        return Forecast(None, trouble=trouble)
    told = yield from Walk(situation, errand, zone_of).steps()
    return structs.replace(told, stretches=brief(told.stretches))


def brief(stretches: tuple[Stretch, ...]) -> tuple[Stretch, ...]:
    """What lasts less than a hundredth of it is told with what was before, or comes after."""
    if not stretches:
        return ()
    least_s = (stretches[-1].end_s - stretches[0].begin_s) * BRIEF
    found: list[Stretch] = []
    for each in stretches:
        last = found[-1] if found else None
        if last is None:
            found.append(each)
        elif last.limit == each.limit or (
            each.end_s - each.begin_s < least_s and not _ends_a_pause(last, each)
        ):
            found[-1] = _joined(last, each, last)
        elif last.end_s - last.begin_s < least_s:
            found[-1] = _joined(last, each, each)
        else:
            found.append(each)
    return tuple(found)


def _ends_a_pause(last: Stretch, each: Stretch) -> bool:
    """Nothing left in the last one: what leaves now is told with what comes after, and not as if it had left in the night."""
    return last.mails < 1.0 <= each.mails


def _joined(one: Stretch, other: Stretch, name: Stretch) -> Stretch:
    return Stretch(one.begin_s, other.end_s, one.mails + other.mails, name.limit, name.standing)


def _too_large(situation: Situation, errand: Errand) -> str | None:
    for sender in errand.senders:
        for index in situation.senders[sender].standings:
            standing = situation.standings[index]
            if errand.kind.takes(Unit[standing.unit.upper()]) > max((standing.count, *standing.ahead)):
                return f"one such mail is more than {words(situation, index)} allows in all"
    return None
