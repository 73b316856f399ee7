"""From `retry` of a route to its steps."""

from relay.config.findings import Findings
from relay.config.model import RouteTable

STEPS_MAX = 100
"""More than anybody writes by hand; a list that long was made by a program that errs."""
GROWING = ("retry_first", "retry_factor", "retry_max")


def build_retry(found: Findings, key: str, table: RouteTable) -> tuple[float, ...]:
    """The pauses in their order; none where they grow by a factor."""
    steps = table.retry
    if steps is None:
        return ()
    for name in GROWING:
        if getattr(table, name) is not None:
            found.problem(
                f"{key}.{name}", "and retry exclude each other: write the steps, or how pauses grow"
            )
    if not steps or len(steps) > STEPS_MAX:
        found.problem(f"{key}.retry", f'takes 1 to {STEPS_MAX} pauses; write retry = ["5m", "15m", "1h"]')
    if any(step < 1 for step in steps):
        found.problem(f"{key}.retry", "has a pause below a second: the next hop would be asked without end")
    return tuple(steps)
