"""Hours: at which times of a week a route sends, by the clock on the wall of a time zone.

Plain data, and what follows from it; the rules of the zone are an argument. An hour of the
day begins at the first moment at which the clocks there show it, or show a later one. So on
the days on which they change:

- a time that is left out (02:30, when 02:00 becomes 03:00) is the moment of the change, and
  what begins and ends within it does not happen that day;
- of a time that comes twice the first one counts, for the beginning and for the end: nothing
  opens twice, nor closes twice.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from relay.message.campaign import campaign_fits
from relay.message.priority import Priority

DAY_MINUTES = 1_440
LOOK_DAYS = 15
"""A week has each day once; a change of the clocks may leave one out."""
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ZoneOf = Callable[[str], tzinfo]


@dataclass(frozen=True, slots=True)
class Hours:
    """One `[[route.hours]]` of the configuration."""

    days: tuple[int, ...]
    """On which they begin; Monday is 0."""
    from_minute: int
    """Of the day, by the wall clock."""
    to_minute: int
    """Up to 24:00; where it is not later than `from_minute`, of the day after."""
    time_zone: str
    """As the time zone database names it."""
    priorities: tuple[Priority, ...] = ()
    """For which mail they are; none: for any."""
    campaigns: tuple[str, ...] = ()
    """Likewise; with a `*` at the end, what its name begins with."""

    def concern(self, priority: Priority, campaign: str) -> bool:
        """Whether such mail is held to them."""
        if self.priorities and priority not in self.priorities:
            return False
        return not self.campaigns or any(campaign_fits(each, campaign) for each in self.campaigns)

    def __str__(self) -> str:
        """`mon-fri 08:00-18:00 Europe/Berlin`."""
        return f"{_days(self.days)} {_clock(self.from_minute)}-{_clock(self.to_minute)} {self.time_zone}"


def concerning(hours: Sequence[Hours], priority: Priority, campaign: str) -> tuple[Hours, ...]:
    """Those that such mail is held to; none: it goes at any time."""
    return tuple(each for each in hours if each.concern(priority, campaign))


def next_span(hours: Sequence[Hours], at: float, zone_of: ZoneOf) -> tuple[float, float] | None:
    """From when until when mail may go that is held to all of these, seconds since the epoch.

    The span that `at` lies in, or the next one after it; what opens in one of them is open.
    None: never, within the next two weeks.
    """
    spans = [span for each in hours if (span := _next_span(each, at, zone_of(each.time_zone))) is not None]
    return min(spans, default=None)


def next_moment(
    hours: Sequence[Hours], priority: Priority, campaign: str, at: float, zone_of: ZoneOf
) -> float | None:
    """When such mail of a route may go, `at` or later, as far as its hours say; None: as `next_span`."""
    concern = concerning(hours, priority, campaign)
    if not concern:
        return at
    span = next_span(concern, at, zone_of)
    return None if span is None else max(at, span[0])


def _next_span(hours: Hours, at: float, zone: tzinfo) -> tuple[float, float] | None:
    return next((span for span in _spans(hours, at, zone) if span[1] > at), None)


def _spans(hours: Hours, at: float, zone: tzinfo) -> Iterator[tuple[float, float]]:
    """One for each of its days, from the day before that of `at` on."""
    today = datetime.fromtimestamp(at, zone).date()
    days_long = 1 if hours.to_minute <= hours.from_minute else 0
    for ahead in range(-1, LOOK_DAYS):
        day = today + timedelta(days=ahead)
        if day.weekday() in hours.days:
            begin = first_moment(day, hours.from_minute, zone)
            end = first_moment(day + timedelta(days=days_long), hours.to_minute, zone)
            if begin < end:
                yield begin, end


def first_moment(day: date, minute: int, zone: tzinfo) -> float:
    """When the clocks of the zone first show that time of that day, or a later one; seconds since the epoch."""
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)
    # PEP 495: of a time that comes twice fold=0 is the first; one that is left out is somewhere
    # after the change by the offset before it (fold=0), and before it by the other one.
    first = wall.replace(tzinfo=zone).timestamp()
    if _shown(first, zone) == wall:
        return first
    low, high = int(wall.replace(tzinfo=zone, fold=1).timestamp()), int(first)
    while high - low > 1:
        middle = (low + high) // 2
        if _shown(middle, zone) >= wall:
            high = middle
        else:
            low = middle
    return float(high)


def _shown(at: float, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None, fold=0)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _days(days: Sequence[int]) -> str:
    """`mon-fri,sun`."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}-{DAYS[run[-1]]}" for run in runs)
