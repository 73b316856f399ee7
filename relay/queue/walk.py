"""The walk behind a forecast: from stretch to stretch, in each of which mail flows evenly.

How fast does everything flow now, and until when does that hold? Senders take from the
streams that wait, by priority and in turn; a limit that is used up gives them what comes
free; the stretch ends where a stream is over, a limit is used up, a block of what was used
comes free, or a stop ends. What holds the mail up that is asked for is told with each.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from relay.budget.course import LITTLE, Course
from relay.budget.limit import DAY_S, Unit
from relay.budget.standing import Standing
from relay.message.priority import Priority
from relay.queue.shares import Shares
from relay.queue.situation import Errand, Forecast, Kind, Sender, Situation, Stretch
from relay.queue.stream import Calendar, Stream, portions
from relay.route.hours import ZoneOf
from relay.route.tariff import describe

STEPS_EXACT = 240
"""Stretches in which small limits are followed send by send; beyond, they are rates. Some 10 ms."""
ROUNDS_EXACT = 16
"""And so many windows: a burst more or less is little then."""
STEPS_MAX = 6_000
"""A walk that is longer ends where it is: it has come across some hundred days."""
STEP_S = 0.001
"""The shortest stretch; of a walk that goes to and fro between two limits, longer in the end: of each of its hours."""
HORIZON_S = 400.0 * DAY_S
CONNECTIONS = "connections"
BEFORE = "mail before it"
NOT_YET = "its time"
HOURS = "the hours of its route"
_UNITS = {unit.name.lower(): unit for unit in Unit}


@dataclass(slots=True, eq=False)
class _Draw:
    """What one sender takes of one stream just now."""

    sender: int
    stream: Stream
    rate: float
    bound: int = -1
    """By which standing; -1: by its connections."""


@dataclass(slots=True)
class _Told:
    """The stretches, as they are gathered."""

    of_days: frozenset[int]
    """Limits that are another one tomorrow."""
    stretches: list[Stretch] = field(default_factory=list)
    first_s: float | None = None

    def add(self, begin: float, end: float, mails: float, limit: str, standing: int) -> None:
        if mails > LITTLE and self.first_s is None:
            self.first_s = begin
        last = self.stretches[-1] if self.stretches else None
        goes_on = limit == CONNECTIONS and last is not None and last.standing >= 0
        if last is not None and (last.limit == limit or (goes_on and last.standing not in self.of_days)):
            # A burst between two waits for a limit is that limit's doing.
            self.stretches[-1] = Stretch(last.begin_s, end, last.mails + mails, last.limit, last.standing)
        elif (
            last is not None
            and last.limit == CONNECTIONS
            and standing >= 0
            and (end - last.begin_s < 60.0 or standing in self.of_days)
        ):
            self.stretches[-1] = Stretch(last.begin_s, end, last.mails + mails, limit, standing)
        else:
            self.stretches.append(Stretch(begin, end, mails, limit, standing))


class Walk:
    """Of one forecast."""

    def __init__(self, situation: Situation, errand: Errand, zone_of: ZoneOf) -> None:
        self.situation = situation
        self.senders = situation.senders
        self.asked = Stream.of(errand)
        self.streams = [Stream.of(each) for each in situation.backlogs if each.mails > 0]
        self.streams.append(self.asked)
        self.calendar = Calendar(situation.at, zone_of)
        self.timed = [stream for stream in self.streams if stream.hours]
        self.at = 0.0
        self.step_s = STEP_S
        self.shares = [Shares() for _ in self.senders]
        standings = situation.standings
        self.told = _Told(frozenset(index for index, each in enumerate(standings) if each.ahead))
        self.courses = self._courses(errand)
        self.priority_of = self._priorities()

    def _courses(self, errand: Errand) -> list[Course]:
        found = []
        for index, standing in enumerate(self.situation.standings):
            users = [sender for sender in self.senders if index in sender.standings]
            open_s = sum(sender.seconds for sender in users) / max(1, len(users))
            found.append(Course(standing, open_s, errand.kind.takes(_UNITS[standing.unit])))
        return found

    def _priorities(self) -> list[Priority]:
        """For each course the lowest priority that uses it: whose rules change soonest."""
        found = [Priority.HIGH] * len(self.courses)
        for stream in self.streams:
            for sender in stream.senders:
                for index in self.senders[sender].standings:
                    found[index] = max(found[index], stream.priority)
        return found

    def steps(self) -> Generator[None, None, Forecast]:
        """From now to the end of it, or to where nothing is known any more; gives way after each stretch."""
        began = 0
        for step in range(STEPS_MAX):
            if self.asked.left <= LITTLE:
                return Forecast(self._last_s(), self.told.first_s, tuple(self.told.stretches))
            if self.calendar.turn_to(self.at, self.timed):
                began = step
            draws = self._draws()
            self.step_s = STEP_S if step - began < STEPS_EXACT * 5 else max(1.0, self.at / 1000)
            until = self._until(draws)
            if until == inf or until > HORIZON_S:
                break
            self._go_on(draws, until)
            self._settle_down(step)
            yield
        trouble = "it takes longer than can be foreseen"
        if not self.told.stretches:
            trouble = next((self.senders[each].stopped for each in self.asked.senders), "") or trouble
        return Forecast(None, self.told.first_s, tuple(self.told.stretches), trouble)

    def _last_s(self) -> float:
        """The last mail is under way a moment longer."""
        return self.at + min(self.senders[each].seconds for each in self.asked.senders)

    # How everything flows now.

    def _draws(self) -> list[_Draw]:
        draws: list[_Draw] = []
        for index, sender in enumerate(self.senders):
            if sender.stopped_for_good or self.at < sender.closed_s - LITTLE:
                continue
            waiting = self._waiting(index)
            if waiting:
                draws += self._of_sender(index, waiting)
        for index in {each for draw in draws for each in self.senders[draw.sender].standings}:
            self._bound(index, draws)
        return draws

    def _waiting(self, sender: int) -> dict[Priority, list[tuple[Stream, float]]]:
        """By priority the streams it may send now, each with its part of the turns."""
        found: dict[Priority, list[Stream]] = {}
        for stream in self.streams:
            if sender in stream.senders and stream.flows(self.at):
                found.setdefault(stream.priority, []).append(stream)
        return {priority: portions(streams) for priority, streams in found.items()}

    def _of_sender(self, index: int, waiting: dict[Priority, list[tuple[Stream, float]]]) -> Iterable[_Draw]:
        """Its rate, shared between the priorities; what one may not take is the others'."""
        sender = self.senders[index]
        caps: dict[Priority, float] = {}
        bounds: dict[Priority, int] = {}
        total = sender.rate
        for priority, streams in waiting.items():
            kind = streams[0][0].kind
            caps[priority], bounds[priority] = self._cap(sender, priority, kind, is_alone=len(waiting) == 1)
        if len(waiting) > 1:
            first = min(waiting)
            total = min(total, self._supply(sender, first, waiting[first][0][0].kind))
        rates = self.shares[index].rates(total, caps)
        for priority, streams in waiting.items():
            by = bounds[priority] if rates[priority] >= min(caps[priority], sender.rate) - LITTLE else -1
            if by < 0 and total < sender.rate:
                by = max(bounds.values())
            for stream, part in streams:
                yield _Draw(index, stream, rates[priority] * part, by)

    def _supply(self, sender: Sender, priority: Priority, kind: Kind) -> float:
        """How much comes free for all its mail together, where nothing can be used at once."""
        found = inf
        for index in sender.standings:
            course = self.courses[index]
            amount = kind.takes(_UNITS[course.standing.unit])
            if amount > 0 and course.usable(priority, self.at) <= LITTLE:
                found = min(found, course.inflow(self.at, priority) / amount)
        return found

    def _cap(self, sender: Sender, priority: Priority, kind: Kind, *, is_alone: bool) -> tuple[float, int]:
        """How many mails a second its limits allow, and which one says so."""
        least, by = inf, -1
        for index in sender.standings:
            course = self.courses[index]
            amount = kind.takes(_UNITS[course.standing.unit])
            if amount <= 0:
                continue
            rate = course.pace_of(priority, self.at) / amount
            if is_alone and rate > 0 and priority is Priority.BULK and course.is_paced:
                # Places that are open come free nobody knows when: bulk keeps an interval for each (`Window`).
                others = sender.connections - 1
                rate = min(rate, sender.connections / (sender.seconds + others * course.interval_s * amount))
            if course.usable(priority, self.at) <= LITTLE:
                rate = min(rate, course.inflow(self.at, priority) / amount)
            if rate < least:
                least, by = rate, index
        return least, by

    def _bound(self, index: int, draws: list[_Draw]) -> None:
        """What several take of one limit that is used up is no more than comes free."""
        course = self.courses[index]
        unit = _UNITS[course.standing.unit]
        for polite in (False, True):
            priority = Priority.NORMAL if polite else Priority.HIGH
            if course.usable(priority, self.at) > LITTLE:
                continue
            users = [draw for draw in draws if index in self.senders[draw.sender].standings]
            free = course.inflow(self.at, priority)
            if polite:
                free -= sum(
                    d.rate * d.stream.kind.takes(unit) for d in users if d.stream.priority is Priority.HIGH
                )
                users = [draw for draw in users if draw.stream.priority is not Priority.HIGH]
            wanted = sum(draw.rate * draw.stream.kind.takes(unit) for draw in users)
            if wanted > max(0.0, free) + LITTLE * LITTLE:
                for draw in users:
                    if draw.stream.kind.takes(unit) > 0:
                        draw.rate *= max(0.0, free) / wanted
                        draw.bound = index

    # Until when.

    def _until(self, draws: Sequence[_Draw]) -> float:
        flows, bulk = self._outflows(draws)
        found = inf
        for index, course in enumerate(self.courses):
            priority = self.priority_of[index]
            change = course.next_change(self.at, priority)
            found = min(found, max(change, course.safe_until(self.at, flows[index], priority)))
            if flows[index]:
                for each in {priority, Priority.HIGH}:
                    found = min(found, course.full_at(self.at, flows[index], each))
                found = min(found, course.spaced_at(self.at, bulk[index]))
        rates: dict[int, float] = {}
        for draw in draws:
            rates[id(draw.stream)] = rates.get(id(draw.stream), 0.0) + draw.rate
        for stream in self.streams:
            if (rate := rates.get(id(stream), 0.0)) > LITTLE * LITTLE:
                found = min(found, self.at + stream.left / rate)
            found = min(found, stream.next_change(self.at))
        for index, by_priority in self._by_sender(draws).items():
            if len(by_priority) > 1:
                found = min(found, self.at + self.shares[index].even_after(by_priority))
        for sender in self.senders:
            if not sender.stopped_for_good and sender.closed_s > self.at + LITTLE:
                found = min(found, sender.closed_s)
        return max(found, self.at + self.step_s)

    def _by_sender(self, draws: Sequence[_Draw]) -> dict[int, dict[Priority, float]]:
        """How fast each priority of each sender flows."""
        found: dict[int, dict[Priority, float]] = {}
        for draw in draws:
            rates = found.setdefault(draw.sender, {})
            rates[draw.stream.priority] = rates.get(draw.stream.priority, 0.0) + draw.rate
        return found

    def _outflows(self, draws: Sequence[_Draw]) -> tuple[list[float], list[float]]:
        """Of each limit, in all and of bulk."""
        flows, bulk = [0.0] * len(self.courses), [0.0] * len(self.courses)
        for draw in draws:
            if draw.rate:
                for index in self.senders[draw.sender].standings:
                    flow = draw.rate * draw.stream.kind.takes(_UNITS[self.courses[index].standing.unit])
                    flows[index] += flow
                    if draw.stream.priority is Priority.BULK:
                        bulk[index] += flow
        return flows, bulk

    def _go_on(self, draws: Sequence[_Draw], until: float) -> None:
        why = self._why(draws)
        flows, bulk = self._outflows(draws)
        for index, course in enumerate(self.courses):
            course.go_on(self.at, until, flows[index], bulk[index])
        length, mails = until - self.at, 0.0
        for index, by_priority in self._by_sender(draws).items():
            self.shares[index].go_on(by_priority, length)
        for draw in draws:
            part = draw.rate * length
            draw.stream.left = max(0.0, draw.stream.left - part)
            mails += part if draw.stream is self.asked else 0.0
        self.told.add(self.at, until, mails, *why)
        self.at = until

    def _why(self, draws: Sequence[_Draw]) -> tuple[str, int]:
        """What holds it up now."""
        if self.asked.from_s > self.at + LITTLE:
            return NOT_YET, -1
        if not self.asked.flows(self.at):
            return HOURS, -1
        own = [draw for draw in draws if draw.stream is self.asked]
        for draw in own:
            if draw.bound >= 0:
                return self._words(draw.bound), draw.bound
        if own:
            return CONNECTIONS, -1
        senders = [self.senders[each] for each in self.asked.senders]
        closed = [sender for sender in senders if self.at < sender.closed_s - LITTLE]
        if len(closed) == len(senders):
            return closed[0].stopped, -1
        return BEFORE, -1

    def _words(self, standing: int) -> str:
        """Of a limit as it is on that day."""
        course = self.courses[standing]
        return describe_at(course.standing, int(course.today))

    def _settle_down(self, step: int) -> None:
        for course in self.courses:
            if course.is_paced and not course.is_steady:
                is_long = step > STEPS_EXACT and self.at - course.since_s > ROUNDS_EXACT * course.delay_s
                if (is_long and course.is_used_up) or course.looks_steady(self.at):
                    course.settle_down(self.at)


def words(situation: Situation, standing: int) -> str:
    """`30 messages in 60 s of the mailbox a@b`; of a ramp, as it is today."""
    found = situation.standings[standing]
    return describe_at(found, found.count)


def describe_at(standing: Standing, count: int) -> str:
    """The same, while so much is allowed."""
    limit = replace(standing.limit, count=count)
    return describe(limit) if limit.scope.name == "TENANT" else f"{describe(limit)} {limit.key}"
