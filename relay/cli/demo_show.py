"""The summary as tables, in plain words."""

from rich.console import Console, Group
from rich.table import Column, Table
from rich.text import Text

from relay.cli.demo_summary import Summary, Waiting

KEYS = (
    ("mailbox", "left"), ("sent", "right"), ("refused", "right"), ("most in a minute", "right"),
    ("recipients of 24 h: used", "right"), ("left", "right"),
)  # fmt: skip
BESIDE = {"high": "password resets", "normal": "single mails", "bulk": "newsletters"}


def show(summary: Summary, *, is_kept: bool) -> None:
    """Print it."""
    console = Console(highlight=False, soft_wrap=False)
    console.print(Group(_mailboxes(summary), "", _priorities(summary), ""))
    console.print(_waiting(summary))
    console.print(_mails(summary), soft_wrap=True)
    if is_kept:
        folder = summary.folder
        console.print(f"relay.toml, relay.log, metrics.txt, spool and tenant are in {folder}", soft_wrap=True)
        console.print(
            f"look at what waits:  m365-relay queue list --config {folder}/relay.toml", soft_wrap=True
        )
        console.print(f"remove them:         rm -r {folder}", soft_wrap=True)
    for problem in summary.problems:
        console.print(Text.assemble(("✗ ", "red"), problem), soft_wrap=True)
    if summary.is_as_expected:
        console.print(
            "[green]✓[/] exactly as expected: what may leave has left, once and unaltered; the rest waits"
        )


def _mailboxes(summary: Summary) -> Table:
    columns = [Column(name, justify=justify) for name, justify in KEYS]  # type: ignore[arg-type]  # literals
    table = Table(*columns, title="What was used, and what is left", title_justify="left")
    for each in summary.mailboxes:
        table.add_row(
            each.mailbox,
            f"{each.sent:,}",
            f"{each.refused:,}",
            f"{each.peak_a_minute} of {each.limit_a_minute}",
            f"{each.recipients_used:,}",
            f"{each.recipients_left:,}",
        )
    outside = summary.outside
    table.add_section()
    table.add_row("the tenant, to the outside", "", "", "", f"{outside.used:,}", f"{outside.left:,}")
    return table


def _priorities(summary: Summary) -> Table:
    table = Table(
        Column("priority"),
        Column("mails", justify="right"),
        Column("half waited at most", justify="right"),
        Column("the longest", justify="right"),
        title=f"How long mail waited, by the tenant's clock; a mailbox sends every {summary.send_interval_s:g} s",
        title_justify="left",
    )
    for each in summary.priorities:
        name = f"{each.priority} ({BESIDE[each.priority]})"
        table.add_row(name, f"{each.mails:,}", duration(each.p50_s), duration(each.max_s))
    return table


def _waiting(summary: Summary) -> Table:
    table = Table("what waits", "why", "it leaves", "what to do", title="What waits", title_justify="left")
    for each in summary.waiting:
        what = f"{each.mails:,} × {each.what}"
        table.add_row(what, Text(each.why), _leaves(each), Text(each.next_step), end_section=True)
    return table


def _leaves(waiting: Waiting) -> str:
    if waiting.leaves_in_s is None:
        return "not before you act"
    return f"from {duration(waiting.leaves_in_s)} from now on"


def _mails(summary: Summary) -> str:
    waits = sum(each.mails for each in summary.waiting)
    return (
        f"{summary.mails:,} mails: {summary.delivered:,} delivered, {waits:,} wait, {summary.twice} twice, "
        f"{summary.altered} altered. The relay's answer to a mail took {summary.accept_p50_ms:.1f} ms (p50), "
        f"{summary.accept_p99_ms:.1f} ms (p99). {duration(summary.tenant_seconds)} of the tenant's time took "
        f"{summary.seconds:.0f} s."
    )


def duration(seconds: float) -> str:
    """For people."""
    if seconds < 60:
        return f"{max(0.0, seconds):.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
