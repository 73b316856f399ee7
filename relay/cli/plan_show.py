"""The plan as people read it: when, what holds it up in each stretch, and what would make it earlier."""

from typing import TYPE_CHECKING

from relay.cli.moment import local
from relay.cli.why import age

if TYPE_CHECKING:
    from rich.console import Console

    from relay.cli.plan import Part, Planned

LEGS_MAX = 12
"""Stretches that are shown; --json has them all."""
HELPS_MAX = 8


def show(planned: "Planned") -> None:
    """All of it."""
    from rich.console import Console

    console = Console(highlight=False)
    console.print(
        f"[bold]{planned.recipients:,}[/] recipients, from {planned.sender}, priority {planned.priority}",
        soft_wrap=True,
    )
    if planned.done_at is None:
        console.print("[red]It would never be done as things stand.[/]")
    else:
        length = age(planned.done_at - planned.from_at)
        console.print(f"would be done at [bold]{local(planned.done_at)}[/], {length} after its begin.")
    for part in planned.parts:
        _part(console, part, planned)
    for note in planned.assumed:
        console.print(f"Note: {note}.", style="dim", soft_wrap=True)


def _part(console: "Console", part: "Part", planned: "Planned") -> None:
    from rich.table import Table
    from rich.text import Text

    console.print()
    names = ", ".join(part.senders[:3]) + (f" and {len(part.senders) - 3} more" if part.senders[3:] else "")
    mails = "" if part.mails == part.recipients else f" in {part.mails:,} mails"
    console.print(Text(f"{part.recipients:,} recipients{mails} through {names}", "bold"), soft_wrap=True)
    if part.trouble:
        console.print(Text(f"  {part.trouble}", "red"), soft_wrap=True)
    if part.first_at is not None and part.first_at > planned.asked_at + 60:
        console.print(f"  the first mail leaves at {local(part.first_at)}")
    table = Table("from", "until", "mails", "held up by", box=None, pad_edge=True)
    table.columns[2].justify = "right"
    legs = part.stretches
    shown = legs if len(legs) <= LEGS_MAX else [*legs[: LEGS_MAX - 3], None, *legs[-2:]]
    for leg in shown:
        if leg is None:
            table.add_row("…", "", "", f"and so on: {len(legs) - LEGS_MAX + 1} more")
        else:
            table.add_row(local(leg.begins_at), local(leg.ends_at), f"{leg.mails:,}", Text(leg.held_up_by))
    if legs:
        console.print(table)
    if part.remedies:
        console.print(Text("  What would make it earlier", "bold"))
    for each in part.remedies[:HELPS_MAX]:
        gain = "" if each.earlier_s is None else f", {age(each.earlier_s)} earlier"
        then = f"; then held up by: {each.then}" if each.then else ""
        console.print(
            Text.assemble(
                "  · ", (each.change, "green"), f": done at {local(each.done_at)}{gain}", (then, "dim")
            ),
            soft_wrap=True,
        )
