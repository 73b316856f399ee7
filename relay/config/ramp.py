"""From `ramp` of a `[[route.limit]]` to a limit of the day that grows."""

from datetime import date

from relay.budget.limit import DAY_S, LIFTED, Limit, Scope, Unit
from relay.config.limit_table import RouteLimitTable

DAYS_MAX = 366
"""Warming up takes weeks; a longer list was made by a program that errs."""
_COUNTED = (Unit.MESSAGES, Unit.RECIPIENTS, Unit.EXTERNAL_RECIPIENTS)


def wrong_ramp(table: RouteLimitTable, unit: Unit) -> tuple[str, str] | None:
    """The key of what is wrong, and what."""
    ramp = table.ramp
    if ramp is None:
        return None if table.ramp_start is None else ("ramp_start", "goes with ramp; write its numbers, too")
    if table.ramp_start is None:
        return "ramp_start", "is missing: the day on which the first number holds, such as 2026-12-01"
    if unit not in _COUNTED:
        return "of", 'has no ramp; write "messages", "recipients" or "external recipients"'
    if table.least is not None:
        return "least", "and ramp exclude each other: what a ramp allows is known"
    if len(ramp) > DAYS_MAX:
        return "ramp", f"has {len(ramp)} days; {DAYS_MAX} at most"
    if ramp != sorted(ramp):
        return "ramp", "must not fall: what is under way at midnight counts for both days"
    if ramp[-1] > (table.count or LIFTED):
        return (
            "count",
            f"is what holds after the ramp; it must be {ramp[-1]} at least, the ramp's last number",
        )
    return None


def with_ramp(scope: Scope, unit: Unit, table: RouteLimitTable) -> Limit:
    """Of a table with nothing wrong; without a count nothing holds after the last day."""
    assert table.ramp is not None and table.ramp_start is not None
    start = (table.ramp_start - date(1970, 1, 1)).days
    return Limit(scope, unit, table.count or LIFTED, DAY_S, True, ramp=tuple(table.ramp), ramp_day=start)
