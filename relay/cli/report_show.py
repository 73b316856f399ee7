"""The report as text with bars."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from relay.cli.moment import local
from relay.cli.trace_show import STYLES, printable
from relay.trace.history.flow import Count, Flow, Hour

if TYPE_CHECKING:
    from rich.console import Console

BAR = 30
"""Characters of the longest bar."""
HOURS_MAX = 48
"""Lines; a longer time is shown by day."""


def show(found: Flow) -> None:
    """All parts."""
    from rich.console import Console

    console = Console(highlight=False)
    console.print(
        f"[bold]{found.mails:,}[/] mails, {found.size / 1e6:,.1f} MB accepted "
        f"from {local(found.since)} to {local(found.until)}"
    )
    if not found.mails and not any(hour.delivered + hour.deferred + hour.held for hour in found.hours):
        console.print("Nothing happened in that time; --since reaches further back.")
        return
    _flow(console, by_day(found.hours) if len(found.hours) > HOURS_MAX else found.hours)
    _counts(console, "Recipients, as they stand now", found.outcomes)
    _counts(console, "Delivered recipients by route", found.routes)
    _counts(console, "Mails by sender", found.senders)
    _counts(console, "Mails by campaign", found.campaigns)
    _refusals(console, found)


def by_day(hours: Sequence[Hour]) -> list[Hour]:
    """Hours of one date of this machine's zone together."""
    days: dict[str, Hour] = {}
    for hour in hours:
        day = days.setdefault(local(hour.at)[:10], Hour(hour.at))
        for name in ("accepted", "delivered", "deferred", "held", "failed"):
            setattr(day, name, getattr(day, name) + getattr(hour, name))
    return list(days.values())


def bar(value: int, most: int, width: int = BAR) -> str:
    """Its length says how much; the smallest that is not nothing is seen too."""
    if not value or not most:
        return ""
    eighths = max(1, round(value * width * 8 / most))
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _flow(console: "Console", hours: Sequence[Hour]) -> None:
    from rich.table import Table
    from rich.text import Text

    most = max((max(hour.accepted, hour.delivered) for hour in hours), default=0)
    table = Table(
        "from", "accepted", "delivered", "deferred", "held", "failed", "accepted ▒ delivered █", box=None
    )
    for column in table.columns[1:6]:
        column.justify = "right"
    for hour in hours:
        bars = Text(bar(hour.accepted, most).replace("█", "▒"), "dim")
        bars.append("\n" + bar(hour.delivered, most), "green")
        counts = (hour.accepted, hour.delivered, hour.deferred, hour.held, hour.failed)
        table.add_row(local(hour.at)[:16], *(f"{count:,}" if count else "" for count in counts), bars)
    console.print(table)


def _counts(console: "Console", title: str, counts: Sequence[Count]) -> None:
    from rich.table import Table
    from rich.text import Text

    if not counts:
        return
    most = max(count.mails for count in counts)
    table = Table(box=None, title=title, title_justify="left", title_style="bold", show_header=False)
    for count in counts:
        style = STYLES.get(count.name, "")
        name, share = Text(printable(count.name) or "(none)"), Text(bar(count.mails, most), style)
        table.add_row(name, Text(f"{count.mails:,}", justify="right"), share)
    console.print()
    console.print(table)


def _refusals(console: "Console", found: Flow) -> None:
    from rich.text import Text

    if not found.refusals:
        return
    console.print()
    console.print("[bold]Why mail was put off or held[/]")
    for refusal in found.refusals:
        count = _counted(refusal.times, "time")
        if refusal.recipients:
            count += f", {_counted(refusal.recipients, 'recipient')}"
        console.print(Text.assemble((f"{count}  ", "bold"), printable(refusal.reply)))
        if refusal.meaning:
            console.print(Text(f"    {refusal.meaning} {refusal.advice}"))


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
