"""From `[[route.hours]]` to hours, with the time zone looked up."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from relay.config.findings import Findings
from relay.config.hours_table import HoursTable, days_of, minute_of
from relay.message.priority import Priority
from relay.route.hours import Hours

HOURS_MAX = 100
"""Of one route: each mail that is judged anew is compared with all of them."""


def build_hours(found: Findings, key: str, tables: Sequence[HoursTable]) -> tuple[Hours, ...]:
    """The hours of one route, whose path is `key`; of use only when no problems were found."""
    if len(tables) > HOURS_MAX:
        found.problem(f"{key}.hours", f"are {len(tables)}; a route has {HOURS_MAX} at most")
    return tuple(_hours(found, f"{key}.hours[{i}]", table) for i, table in enumerate(tables))


def _hours(found: Findings, key: str, table: HoursTable) -> Hours:
    try:
        ZoneInfo(table.time_zone)
    except (LookupError, ValueError, OSError):
        found.problem(
            f"{key}.time_zone",
            f'there is no time zone "{table.time_zone}" on this machine; write one such as "Europe/Berlin" or "UTC" '
            "(the names are those of the package tzdata)",
        )
    return Hours(
        days_of(table.days or "mon-sun"),
        minute_of(table.begin),
        minute_of(table.end),
        table.time_zone,
        tuple(Priority[word.upper()] for word in table.priorities or ()),
        tuple(table.campaigns or ()),
    )
