"""The shape of `[[route.hours]]`, and of what its keys hold."""

import re
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from relay.config.match_table import Campaign
from relay.config.table import Table
from relay.config.value import PriorityWord
from relay.route.hours import DAYS

_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)


def minute_of(text: str) -> int:
    """Of the day: 510 of `08:30`; of what the table has taken."""
    return int(text[:2]) * 60 + int(text[3:])


def days_of(text: str) -> tuple[int, ...]:
    """`mon-fri,sun`, as numbers from Monday, 0; ValueError."""
    found: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError('write days such as "mon-fri", "sat,sun" or "mon-thu,sun"')
        start, end = DAYS.index(first), DAYS.index(last or first)
        # "fri-mon" goes over the end of the week.
        found |= {(start + step) % 7 for step in range((end - start) % 7 + 1)}
    return tuple(sorted(found))


def _days(value: str) -> str:
    days_of(value)
    return value


def _time(value: str) -> str:
    if not _TIME.fullmatch(value):
        raise ValueError('write a time of the day such as "08:00", up to "24:00"')
    return value


def _beginning(value: str) -> str:
    if value == "24:00":
        raise ValueError('is the end of a day; what begins then begins at "00:00" of the next one')
    return value


Time = Annotated[str, AfterValidator(_time)]


class HoursTable(Table):
    """`relay.route.hours.Hours`; `from` is no name for an attribute."""

    model_config = ConfigDict(populate_by_name=True)

    days: Annotated[str, AfterValidator(_days)] | None = None
    begin: Annotated[Time, AfterValidator(_beginning)] = Field(alias="from")
    end: Time = Field(alias="to")
    time_zone: Annotated[str, Field(min_length=1)]
    priorities: Annotated[list[PriorityWord], Field(min_length=1)] | None = None
    campaigns: Annotated[list[Campaign], Field(min_length=1)] | None = None
