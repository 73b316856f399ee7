"""At which times a route sends, on the days on which the clocks change too."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.priority import Priority
from relay.route.hours import Hours, concerning, first_moment, next_moment, next_span

BERLIN = "Europe/Berlin"
WEEK = tuple(range(7))
OFFICE = Hours((0, 1, 2, 3, 4), 8 * 60, 18 * 60, BERLIN)


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def span(hours: Hours, at: str) -> tuple[str, str]:
    found = next_span((hours,), utc(at), ZoneInfo)
    assert found is not None
    begin, end = (f"{datetime.fromtimestamp(each, UTC):%Y-%m-%d %H:%M}" for each in found)
    return begin, end


@pytest.mark.parametrize(
    ("at", "begin", "end"),
    [
        # 2026-11-25 is a Wednesday; Berlin is an hour ahead.
        ("2026-11-25 06:59", "2026-11-25 07:00", "2026-11-25 17:00"),
        ("2026-11-25 07:00", "2026-11-25 07:00", "2026-11-25 17:00"),
        ("2026-11-25 16:59", "2026-11-25 07:00", "2026-11-25 17:00"),
        ("2026-11-25 17:00", "2026-11-26 07:00", "2026-11-26 17:00"),
        ("2026-11-27 17:00", "2026-11-30 07:00", "2026-11-30 17:00"),
        ("2026-11-29 23:30", "2026-11-30 07:00", "2026-11-30 17:00"),
        # In summer it is two hours ahead.
        ("2026-07-01 05:59", "2026-07-01 06:00", "2026-07-01 16:00"),
    ],
)
def test_office_hours_begin_and_end_by_the_clock_on_the_wall(at: str, begin: str, end: str) -> None:
    assert span(OFFICE, at) == (begin, end)


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    friday_night = Hours((4,), 22 * 60, 6 * 60, BERLIN)
    for at in ("2026-11-27 21:00", "2026-11-28 04:59"):
        assert span(friday_night, at) == ("2026-11-27 21:00", "2026-11-28 05:00")
    assert span(friday_night, "2026-11-28 05:00") == ("2026-12-04 21:00", "2026-12-05 05:00")


def test_a_whole_day_has_no_gap_at_midnight() -> None:
    whole = Hours(WEEK, 0, 1440, BERLIN)
    assert span(whole, "2026-11-25 22:59") == ("2026-11-24 23:00", "2026-11-25 23:00")
    assert span(whole, "2026-11-25 23:00") == ("2026-11-25 23:00", "2026-11-26 23:00")
    round_the_clock = Hours(WEEK, 8 * 60, 8 * 60, BERLIN)
    assert span(round_the_clock, "2026-11-25 06:59") == ("2026-11-24 07:00", "2026-11-25 07:00")


CHANGES = [
    # Berlin, 2026-03-29: 02:00 becomes 03:00, at 01:00 UTC.
    ("spring, around it", Hours(WEEK, 60, 240, BERLIN), "2026-03-29 00:00", "00:00", "02:00"),
    ("spring, from a time left out", Hours(WEEK, 150, 240, BERLIN), "2026-03-29 00:00", "01:00", "02:00"),
    ("spring, to a time left out", Hours(WEEK, 60, 150, BERLIN), "2026-03-29 00:00", "00:00", "01:00"),
    ("spring, office", Hours(WEEK, 480, 1080, BERLIN), "2026-03-29 00:00", "06:00", "16:00"),
    # 2026-10-25: 03:00 becomes 02:00, at 01:00 UTC; 02:30 is at 00:30 and at 01:30 UTC.
    ("autumn, around it", Hours(WEEK, 60, 240, BERLIN), "2026-10-25 00:00", "23:00", "03:00"),
    (
        "autumn, from a time that comes twice",
        Hours(WEEK, 150, 240, BERLIN),
        "2026-10-25 00:00",
        "00:30",
        "03:00",
    ),
    (
        "autumn, to a time that comes twice",
        Hours(WEEK, 60, 150, BERLIN),
        "2026-10-25 00:00",
        "23:00",
        "00:30",
    ),
    ("autumn, office", Hours(WEEK, 480, 1080, BERLIN), "2026-10-25 00:00", "07:00", "17:00"),
    # Half an hour, and the other half of the year: Lord Howe, 2026-10-04, 02:00 becomes 02:30 at 15:30 UTC.
    ("Lord Howe", Hours(WEEK, 135, 180, "Australia/Lord_Howe"), "2026-10-03 15:00", "15:30", "16:00"),
    # At midnight: Havana, 2026-03-08, 00:00 becomes 01:00, at 05:00 UTC.
    ("Havana", Hours(WEEK, 0, 120, "America/Havana"), "2026-03-08 04:30", "05:00", "06:00"),
]


@pytest.mark.parametrize(
    ("hours", "at", "begin", "end"), [case[1:] for case in CHANGES], ids=[c[0] for c in CHANGES]
)
def test_on_days_on_which_the_clocks_change(hours: Hours, at: str, begin: str, end: str) -> None:
    found = span(hours, at)
    assert (found[0][-5:], found[1][-5:]) == (begin, end)


def test_what_begins_and_ends_in_a_time_left_out_does_not_happen_that_day() -> None:
    short = Hours(WEEK, 135, 165, BERLIN)
    assert span(short, "2026-03-28 20:00") == ("2026-03-30 00:15", "2026-03-30 00:45")


def test_of_a_time_that_comes_twice_nothing_opens_twice() -> None:
    early = Hours(WEEK, 60, 150, BERLIN)
    # At 01:10 UTC the clocks show 02:10 again, which lies between 01:00 and 02:30; it closed at the first 02:30.
    assert span(early, "2026-10-25 01:10") == ("2026-10-26 00:00", "2026-10-26 01:30")


def test_a_day_that_a_country_left_out_is_left_out() -> None:
    # Samoa had no 30 December 2011.
    friday = Hours((4,), 480, 1080, "Pacific/Apia")
    assert span(friday, "2011-12-29 20:00")[0].startswith("2012-01-0")


@pytest.mark.parametrize(
    ("priority", "campaign", "concerned"),
    [
        (Priority.BULK, "", [0]),
        (Priority.NORMAL, "", []),
        (Priority.BULK, "news-7", [0, 1]),
        (Priority.HIGH, "news-7", [1]),
        (Priority.HIGH, "offers", [1]),
        (Priority.HIGH, "offers-2", []),
    ],
)
def test_hours_concern_the_mail_that_they_name(
    priority: Priority, campaign: str, concerned: list[int]
) -> None:
    hours = (
        Hours(WEEK, 0, 60, "UTC", priorities=(Priority.BULK,)),
        Hours(WEEK, 120, 180, "UTC", campaigns=("news-*", "offers")),
    )
    assert concerning(hours, priority, campaign) == tuple(hours[i] for i in concerned)


def test_mail_may_go_in_any_of_the_hours_that_concern_it() -> None:
    hours = (Hours(WEEK, 480, 600, "UTC"), Hours(WEEK, 840, 960, "UTC"))

    def moment(at: str) -> str:
        found = next_moment(hours, Priority.NORMAL, "", utc(at), ZoneInfo)
        assert found is not None
        return f"{datetime.fromtimestamp(found, UTC):%d %H:%M}"

    assert moment("2026-11-25 07:00") == "25 08:00"
    assert moment("2026-11-25 09:00") == "25 09:00"
    assert moment("2026-11-25 10:00") == "25 14:00"
    assert moment("2026-11-25 16:00") == "26 08:00"
    bulk_only = (Hours(WEEK, 480, 600, "UTC", priorities=(Priority.BULK,)),)
    assert next_moment(bulk_only, Priority.HIGH, "", 12.0, ZoneInfo) == 12.0


def test_they_read_as_people_write_them() -> None:
    assert str(OFFICE) == "mon-fri 08:00-18:00 Europe/Berlin"
    assert str(Hours((0, 2, 5, 6), 0, 1440, "UTC")) == "mon,wed,sat-sun 00:00-24:00 UTC"


ZONES = [
    BERLIN,
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Havana",
    "Asia/Kolkata",
    "UTC",
    "Africa/Casablanca",
]


def brute_first(day: date, minute: int, zone: ZoneInfo) -> float:
    """Look at every minute from the day before on."""
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)
    at = int((wall - timedelta(hours=26)).replace(tzinfo=UTC).timestamp())
    while datetime.fromtimestamp(at, zone).replace(tzinfo=None, fold=0) < wall:
        at += 60
    return float(at)


@given(
    st.sampled_from(ZONES),
    st.sampled_from(
        [
            date(2026, 3, 29),
            date(2026, 10, 25),
            date(2026, 3, 8),
            date(2026, 11, 1),
            date(2026, 10, 4),
            date(2026, 4, 5),
            date(2026, 2, 15),
        ]
    ),
    st.integers(-1, 1),
    st.integers(0, 1440),
)
def test_the_first_moment_is_the_one_that_somebody_finds_who_watches_the_clock(
    name: str, day: date, off: int, minute: int
) -> None:
    day += timedelta(days=off)
    assert first_moment(day, minute, ZoneInfo(name)) == brute_first(day, minute, ZoneInfo(name))


@given(
    st.sampled_from(ZONES),
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(0, 1439),
    st.integers(0, 1440),
    st.integers(1_767_225_600, 1_798_761_600),
)
def test_a_span_is_now_or_to_come_and_says_the_same_all_through(
    name: str, days: set[int], begin: int, end: int, at: int
) -> None:
    hours = Hours(tuple(sorted(days)), begin, end, name)
    found = next_span((hours,), float(at), ZoneInfo)
    assert found is not None and found[0] < found[1] and found[1] > at
    assert next_span((hours,), max(found[0], at), ZoneInfo) == found
    assert next_span((hours,), found[1] - 1, ZoneInfo) == found
    later = next_span((hours,), found[1], ZoneInfo)
    assert later is not None and later[0] >= found[1]


def test_a_week_of_minutes_is_open_exactly_when_the_wall_clock_says_so() -> None:
    # A week without a change: then the clock on the wall alone decides.
    zone = ZoneInfo(BERLIN)
    is_open: Callable[[datetime], bool] = lambda local: local.weekday() < 5 and 8 <= local.hour < 18  # noqa: E731
    start = int(utc("2026-11-23 00:00"))
    for at in range(start, start + 7 * 86_400, 420):
        found = next_span((OFFICE,), at, ZoneInfo)
        assert found is not None
        assert (found[0] <= at) == is_open(datetime.fromtimestamp(at, zone))
