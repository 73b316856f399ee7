"""Moments that an application writes into a field."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.moment import MAX_CHARACTERS, Moment, parse_moment

SIX = 1_795_716_000.0
"""2026-11-26 18:00 UTC."""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("2h", 7_200.0),
        ("1h30m", 5_400.0),
        ("1d 12h", 129_600.0),
        ("3d", 259_200.0),
        ("0s", 0.0),
        ("1d2h3m4s", 93_784.0),
    ],
)
def test_a_time_counts_from_when_the_mail_came(text: str, seconds: float) -> None:
    assert parse_moment(text) == Moment(seconds, is_relative=True)
    assert Moment(seconds, is_relative=True).at(1_000.0) == 1_000.0 + seconds


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-26T18:00:00Z",
        "2026-11-26t18:00:00z",
        "2026-11-26 19:00:00+01:00",
        "2026-11-26T18:00:00.000-00:00",
        "Thu, 26 Nov 2026 18:00:00 +0000",
        "26 nov 2026 18:00 GMT",
        "Thu,26 Nov 2026 19:00:00 +0100 (CET)",
        "Thu, 26 Nov 2026 12:30:00 -0530",
    ],
)
def test_a_date_is_the_same_moment_however_it_is_written(text: str) -> None:
    found = parse_moment(text)
    assert found == Moment(SIX)
    assert found.at(1_000.0) == SIX


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "soon",
        "5",
        "2 h",
        "30m1h",
        "1h1h",
        "-2h",
        "1.5h",
        "2026-11-26",
        "2026-11-26T18:00:00",  # whose clock?
        "2026-11-26T18:00Z",
        "2026-13-26T18:00:00Z",
        "2026-11-31T18:00:00Z",
        "2026-11-26T25:00:00Z",
        "2026-11-26T18:00:60Z",
        "Thu, 26 Nov 26 18:00:00 +0000",
        "Thu, 26 Nov 2026 18:00:00",
        "Thu, 26 Nov 2026 18:00:00 +0160",
        "Thu, 26 Nov 2026 18:00:00 +9900",
        "Thu, 26 Nov 2026 18:00:00 EST",
        "٢h",
        "9999999h",
        "1" * MAX_CHARACTERS + "s",
    ],
)
def test_what_could_mean_two_things_or_none_is_no_moment(text: str) -> None:
    assert parse_moment(text) is None


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
)
def test_both_kinds_of_dates_are_read_as_others_write_them(local: datetime, offset: int) -> None:
    written = local.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=offset)))
    assert parse_moment(written.isoformat()) == Moment(written.timestamp())
    assert parse_moment(format_datetime(written)) == Moment(written.timestamp())


@given(st.text(max_size=80))
def test_whatever_is_written_has_an_answer(text: str) -> None:
    found = parse_moment(text)
    assert found is None or datetime.fromtimestamp(min(found.seconds, 1e9), UTC)
