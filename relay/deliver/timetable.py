"""The timetable: which mail may not go at this hour, and when it may.

Mail outside of its hours stands aside, like that of a suspended campaign: it uses up no
attempt, takes no other route, and lets the rest of its lane past. What is under way when the
hours end goes on. What holds now is remembered until it changes, so that a look at a mail
costs a dictionary.
"""

from datetime import datetime, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from relay.budget.limit import Place, Scope, Unit
from relay.clock import Clock
from relay.message.priority import Priority
from relay.route.hours import Hours, ZoneOf, concerning, next_span
from relay.route.route import Route

LOOK_AGAIN_S = 86_400.0
"""A wall clock may be set meanwhile, and nobody knows the clocks of next year: it is looked at once a day at least."""
REMEMBERED_MAX = 4_096
"""Campaigns whose hours are remembered; then forgotten all at once."""


class Closed(NamedTuple):
    """Mail that is outside of its hours."""

    place: Place
    """Where it stands aside."""
    reason: str
    opens_at: float
    """Seconds since the epoch."""
    hours: tuple[Hours, ...]
    """That concern it."""


class _Now(NamedTuple):
    closed: Closed | None
    since: float
    until: float
    """In between nothing changes, seconds since the epoch."""


class Timetable:
    """Of all routes of one process."""

    def __init__(self, clock: Clock, zone_of: ZoneOf = ZoneInfo) -> None:
        self._clock = clock
        self._zone_of = zone_of
        self._concern: dict[tuple[str, Priority, str], tuple[Hours, ...]] = {}
        self._now: dict[tuple[str, tuple[Hours, ...]], _Now] = {}

    def closed(self, route: Route, priority: Priority, campaign: str) -> Closed | None:
        """Why such mail may not go now; None: it may, as far as the hour is concerned."""
        if not route.hours:
            return None
        concern = self._concerning(route, priority, campaign)
        if not concern:
            return None
        now = self._clock.now()
        found = self._now.get((route.name, concern))
        if found is None or not found.since <= now < found.until:
            found = self._now[route.name, concern] = self._look(route.name, concern, now)
        return found.closed

    def wait_s(self, closed: Closed) -> float:
        """How long until it is looked at again."""
        return min(max(0.0, closed.opens_at - self._clock.now()), LOOK_AGAIN_S)

    def _concerning(self, route: Route, priority: Priority, campaign: str) -> tuple[Hours, ...]:
        key = (route.name, priority, campaign)
        found = self._concern.get(key)
        if found is None:
            if len(self._concern) >= REMEMBERED_MAX:
                self._concern.clear()
            found = self._concern[key] = concerning(route.hours, priority, campaign)
        return found

    def _look(self, route: str, concern: tuple[Hours, ...], now: float) -> _Now:
        span = next_span(concern, now, self._zone_of)
        if span is None:
            span = (now + LOOK_AGAIN_S, now + LOOK_AGAIN_S)
        begin, end = span
        if begin <= now:
            return _Now(None, now, end)
        hours = ", ".join(map(str, concern))
        opens = at_home(begin, self._zone_of(concern[0].time_zone))
        reason = f"outside the hours of the route {route} ({hours}); opens at {opens}"
        place = Place(Scope.ROUTE, f"{route}, hours {hours}", Unit.MESSAGES)
        return _Now(Closed(place, reason, begin, concern), now, begin)


def at_home(at: float, zone: tzinfo) -> str:
    """By the clock on the wall of the zone."""
    return f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M %Z}"
