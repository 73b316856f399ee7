"""A limit: how many of what, for whom, in which time.

Limits are rows of data. Which ones Microsoft sets stands in `relay.m365`, which
ones an administrator adds in the configuration; nothing here knows a number of
theirs. A limit without a key holds for every key of its scope, one with a key for
that key alone, in place of the general limits of the same scope and unit.

A ramp is a limit of the day that grows: a new mailbox or address that sends 10,000 on its
first day is taken for one that was stolen. Its numbers never fall. So what is under way at
midnight, and may be counted on either side of it, fits into both days.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import NamedTuple

SECOND_US = 1_000_000
DAY_S = 86_400
DAY_US = DAY_S * SECOND_US
LIFTED = 1_000_000_000
"""What is allowed when a ramp is over that leads to no limit: nobody sends so many on a day."""
MAX_WINDOW_S = 366 * DAY_S
"""A year. A longer window is an error of the unit, and none is known."""


class Scope(IntEnum):
    """Who is counted. The numbers are in the spool: never use one again for another."""

    MAILBOX = 1
    ROUTE = 2
    SOURCE = 3
    """A source address of ours."""
    FOREST = 4
    """Microsoft's resource forest, as the connector route's hosts show it."""
    TENANT = 5
    RECIPIENT = 6
    """A recipient's mailbox."""
    CLIENT = 7


class Unit(IntEnum):
    """What is counted. The numbers are in the spool: never use one again for another."""

    CONNECTIONS = 1
    MESSAGES = 2
    RECIPIENTS = 3
    EXTERNAL_RECIPIENTS = 4
    """Recipients outside the tenant, each message anew."""
    BYTES = 5


class Place(NamedTuple):
    """Where a count is kept: one key of a scope, one unit."""

    scope: Scope
    key: str
    unit: Unit


class Charge(NamedTuple):
    """What a send takes from one place."""

    scope: Scope
    key: str
    unit: Unit
    amount: int


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` in any window of `window_s` seconds, or in any day from midnight to midnight UTC.

    Connections are counted as they stand, not by time: their `window_s` is 0.
    Raises ValueError for a row that means nothing.
    """

    scope: Scope
    unit: Unit
    count: int
    window_s: int = 0
    since_midnight: bool = False
    key: str = ""
    least: int = 0
    """Not known but learnt: between this and `count`, by what the next hop refuses; 0: known."""
    ramp: tuple[int, ...] = ()
    """The most of each day from `ramp_day` on, and before it that of the first one; then `count` holds."""
    ramp_day: int = 0
    """In days since the epoch, UTC."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"a limit of {self.count} lets nothing pass: at least 1")
        if not 0 <= self.least <= self.count:
            raise ValueError(f"a limit is learnt from {self.count} down to {self.least}: not above it")
        if self.unit is Unit.CONNECTIONS:
            if self.window_s or self.since_midnight:
                raise ValueError("connections are counted as they stand: no window")
        elif not 1 <= self.window_s <= MAX_WINDOW_S:
            raise ValueError(f"a window of {self.window_s} s: between 1 and {MAX_WINDOW_S}")
        elif self.since_midnight and self.window_s != DAY_S:
            raise ValueError(f"a limit since midnight has a window of {DAY_S} s, not {self.window_s}")
        if self.ramp and (self.least or not self.since_midnight):
            raise ValueError("a ramp is of days since midnight, and known")
        if self.ramp and (list(self.ramp) != sorted(self.ramp) or not 1 <= self.ramp[-1] <= self.count):
            raise ValueError(f"a ramp never falls, and ends at {self.count} at most")
        if self.ramp and self.ramp[0] < 1:
            raise ValueError("a ramp begins with 1 at least")

    def on(self, day: int) -> int:
        """How many on a day, counted as `ramp_day` is."""
        if not self.ramp or day >= self.ramp_day + len(self.ramp):
            return self.count
        return self.ramp[max(0, day - self.ramp_day)]

    @property
    def ramp_end(self) -> int:
        """The first day on which `count` holds."""
        return self.ramp_day + len(self.ramp)


def stricter(one: Limit, other: Limit) -> Limit:
    """What holds where both do, which count the same over the same time: on each day the smaller number."""
    least = min(one, other, key=lambda limit: limit.count)
    ramps = [limit for limit in (one, other) if limit.ramp]
    if not ramps:
        return least
    begin, end = min(each.ramp_day for each in ramps), max(each.ramp_end for each in ramps)
    ramp = tuple(min(one.on(day), other.on(day)) for day in range(begin, end))
    return replace(least, least=0, ramp=ramp, ramp_day=begin)


class LimitTable:
    """The limits in force, found by place. ValueError for two that count the same over the same time."""

    def __init__(self, limits: Iterable[Limit]) -> None:
        self._rows: dict[tuple[Scope, Unit], list[Limit]] = {}
        seen: set[tuple[object, ...]] = set()
        for limit in limits:
            same = (limit.scope, limit.unit, limit.key, limit.window_s, limit.since_midnight)
            if same in seen:
                raise ValueError(f"two limits for the same: {limit}")
            seen.add(same)
            self._rows.setdefault((limit.scope, limit.unit), []).append(limit)

    def at(self, place: Place) -> tuple[Limit, ...]:
        """The limits of a place: its own where there are any, else those of all keys of its scope."""
        rows = self._rows.get((place.scope, place.unit))
        if rows is None:
            return ()
        own = tuple(limit for limit in rows if limit.key and limit.key == place.key)
        return own or tuple(limit for limit in rows if not limit.key)
