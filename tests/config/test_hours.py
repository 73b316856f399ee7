"""`[[route.hours]]`, `retry` and `waiting_ages` of a route: what is meant, and what is wrong."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from relay.cli.check_config import in_force
from relay.config.hours_table import days_of
from relay.message.priority import Priority
from relay.process.assignment import decode, encode
from relay.route.hours import Hours
from tests.config.test_limit import problem, reading
from tests.process.test_assignment import TOLD

OFFICE = '[[route.hours]]\nfrom = "08:00"\nto = "18:30"\ntime_zone = "Europe/Berlin"\n'


def test_hours_are_of_every_day_and_for_every_mail_unless_they_say_so(tmp_path: Path) -> None:
    more = '[[route.hours]]\ndays = "fri-mon"\nfrom = "22:00"\nto = "24:00"\ntime_zone = "UTC"\n'
    keys = 'priorities = ["bulk"]\ncampaigns = ["news*"]\n'
    assert reading(tmp_path, OFFICE + more + keys).routes[0].hours == (
        Hours((0, 1, 2, 3, 4, 5, 6), 480, 1110, "Europe/Berlin"),
        Hours((0, 4, 5, 6), 1320, 1440, "UTC", (Priority.BULK,), ("news*",)),
    )


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon", (0,)),
        ("Mon-Fri", (0, 1, 2, 3, 4)),
        ("sat, sun", (5, 6)),
        ("sun-tue,thu", (0, 1, 3, 6)),
        ("mon-mon", (0,)),
    ],
)
def test_days_read_as_people_write_them(text: str, days: tuple[int, ...]) -> None:
    assert days_of(text) == days


@pytest.mark.parametrize("text", ["", "monday", "mon-", "-fri", "mon,", "1-5", "mon-fri-sun"])
def test_what_names_no_days_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="write days such as"):
        days_of(text)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("08:00", "8:00"), 'route[0].hours[0].from: write a time of the day such as "08:00"'),
        (("08:00", "24:00"), "route[0].hours[0].from: is the end of a day"),
        (("18:30", "24:01"), "route[0].hours[0].to: write a time of the day"),
        (("Europe/Berlin", "Berlin"), 'route[0].hours[0].time_zone: there is no time zone "Berlin"'),
        (("Europe/Berlin", "../../etc/passwd"), "route[0].hours[0].time_zone: there is no time zone"),
        (('time_zone = "Europe/Berlin"', ""), "route[0].hours[0].time_zone: is missing"),
        (('time_zone = "Europe/Berlin"', 'timezone = "UTC"\ntime_zone = "UTC"'), 'did you mean "time_zone"'),
    ],
)
def test_hours_that_mean_nothing_are_told(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    assert words in problem(tmp_path, OFFICE.replace(*change))


def test_pauses_are_named_one_by_one(tmp_path: Path) -> None:
    route = reading(tmp_path, 'retry = ["5m", "15m", 3600]\nwaiting_ages = true\n').routes[0]
    assert route.retry_steps_s == (300.0, 900.0, 3600.0)
    assert route.waiting_ages
    plain = reading(tmp_path, "").routes[0]
    assert plain.retry_steps_s == () and not plain.waiting_ages


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('retry = ["5m"]\nretry_max = "1h"', "route[0].retry_max: and retry exclude each other"),
        ("retry = []", "route[0].retry: takes 1 to 100 pauses"),
        ('retry = ["5m", "0s"]', "route[0].retry: has a pause below a second"),
        ('retry = ["soon"]', "route[0].retry[0]: write seconds as a number"),
        ('retry = "5m"', "route[0].retry: must be a list"),
    ],
)
def test_pauses_that_mean_nothing_are_told(tmp_path: Path, keys: str, words: str) -> None:
    assert words in problem(tmp_path, keys)


def test_a_child_is_told_hours_and_pauses(tmp_path: Path) -> None:
    routes = reading(tmp_path, 'retry = ["5m"]\n' + OFFICE).routes
    assert decode(encode(replace(TOLD, routes=routes))).routes == routes


def test_check_config_says_what_is_in_force(tmp_path: Path) -> None:
    keys = 'priorities = ["bulk", "normal"]\ncampaigns = ["news*"]\n'
    said = dict(in_force(reading(tmp_path, 'retry = ["5m", "1h"]\n' + OFFICE + keys + OFFICE)))
    assert said["route[0].retry"] == "5m, 1h"
    assert said["route[0].hours[0]"] == (
        'mon-sun 08:00-18:30 Europe/Berlin for mail of bulk or normal and "news*"'
    )
    assert said["route[0].hours[1]"] == "mon-sun 08:00-18:30 Europe/Berlin"
