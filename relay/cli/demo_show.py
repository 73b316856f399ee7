"""The summary as tables, in plain words; 80 columns suffice."""

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from relay.cli.demo_summary import Summary, Waiting

BESIDE = {"high": "password resets", "normal": "order confirmations", "bulk": "newsletters"}


def show(summary: Summary, console: Console, *, is_kept: bool) -> None:
    """Print it."""
    for table in (_mailboxes(summary), _priorities(summary), _waiting(summary)):
        console.print(table)
        console.print()
    console.print(_mails(summary))
    if is_kept:
        folder = summary.folder
        console.print(f"Configurations, logs, metrics and spool: {folder}", soft_wrap=True)
        console.print(f"What waits: m365-relay queue list --config {folder}/relay.toml", soft_wrap=True)
        console.print(f"Remove all: rm -r {folder}", soft_wrap=True)
    for problem in summary.problems:
        console.print(Text.assemble(("✗ ", "red"), problem), soft_wrap=True)
    if summary.is_as_expected:
        verdict = "as expected: all that may leave has left, once and unaltered, and the rest waits"
        console.print(Text.assemble(("✓ ", "green"), verdict), soft_wrap=True)


def _mailboxes(summary: Summary) -> Table:
    table = Table(
        Column("mailbox", overflow="fold"),
        Column("sent", justify="right"),
        Column("refused", justify="right"),
        Column("most in 1 min", justify="right"),
        Column("used", justify="right"),
        Column("left", justify="right"),
        title="Mails, and recipients of 24 hours that are used and left",
        title_justify="left",
    )
    for each in summary.mailboxes:
        table.add_row(
            each.mailbox,
            f"{each.sent:,}",
            f"{each.refused:,}",
            f"{each.peak_a_minute} of {each.limit_a_minute}",
            f"{each.recipients_used:,}",
            f"{each.recipients_left:,}",
        )
    table.add_section()
    table.add_row("all, to the outside", "", "", "", f"{summary.outside.used:,}", f"{summary.outside.left:,}")
    return table


def _priorities(summary: Summary) -> Table:
    table = Table(
        Column("priority"),
        Column("mails", justify="right"),
        Column("p50", justify="right"),
        Column("longest", justify="right"),
        title=f"From accepted to taken; a mailbox may send every {summary.send_interval_s:g} s",
        title_justify="left",
    )
    for each in summary.priorities:
        name = f"{each.priority} ({BESIDE[each.priority]})"
        table.add_row(name, f"{each.mails:,}", duration(each.p50_s), duration(each.max_s))
    return table


def _waiting(summary: Summary) -> Table:
    table = Table(
        "", Column("", overflow="fold"), title="What waits", title_justify="left", show_header=False
    )
    for each in summary.waiting:
        table.add_row("what", Text(f"{each.mails:,} {each.what}", "bold"))
        table.add_row("why", Text(each.why))
        table.add_row("leaves", _leaves(each))
        table.add_row("to do", Text(each.next_step), end_section=True)
    return table


def _leaves(waiting: Waiting) -> str:
    if waiting.leaves_in_s is None:
        return "not before you act"
    return f"in {duration(waiting.leaves_in_s)} the first, and so on as the window moves"


def _mails(summary: Summary) -> str:
    waits = sum(each.mails for each in summary.waiting)
    return (
        f"{summary.mails:,} mails: {summary.delivered:,} delivered, {waits:,} wait, {summary.twice} twice, "
        f"{summary.altered} altered. Answer to the final dot: p50 {summary.accept_p50_ms:.1f} ms, "
        f"p99 {summary.accept_p99_ms:.1f} ms. The tables are by the tenant's clock: "
        f"{duration(summary.tenant_seconds)} of it took {summary.seconds:.0f} s."
    )


def duration(seconds: float) -> str:
    """For people."""
    if seconds < 60:
        return f"{max(0.0, seconds):.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
