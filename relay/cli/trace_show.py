"""Mails of the history for people: a table of several, the steps of one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from relay.cli import trace_words
from relay.cli.moment import local
from relay.trace.history.mail import MailLine, StepLine

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from relay.cli.trace_follow import AcceptedLine

STYLES = {
    "delivered": "green", "deferred": "yellow", "held": "red", "failed": "red", "uncertain": "magenta",
    "spilled": "cyan", "reported": "cyan", "steered": "cyan", "cancelled": "red", "expired": "red",
}  # fmt: skip


def show(mails: Sequence[MailLine], limit: int, now: float, *, with_steps: bool) -> None:
    """All of them."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=with_steps)
    if not mails:
        console.print("The history has no such mail. What waits in the queue shows: m365-relay queue list")
        return
    if with_steps:
        for i, mail in enumerate(mails):
            if i:
                console.print()
            _show_steps(console, mail)
    else:
        _show_table(console, mails)
    if len(mails) == limit:
        console.print(f"The newest {limit}; --limit shows more.")


def news_line(line: "StepLine | AcceptedLine") -> "Text":
    """One event on a line of its own, for those who follow."""
    from rich.text import Text

    start = f"{local(line.at)}  {line.id}  "
    if isinstance(line, StepLine):
        words = (line.recipient or "", line.route, line.reply)
    else:
        words = (f"from {line.sender or '<>'}", f"to {trace_words.names(line.recipients)}", "")
    rest = "  ".join(printable(word) for word in words if word)
    return Text.assemble(start, (f"{line.event:<9}", STYLES.get(line.event, "")), f"  {rest}")


def printable(text: str) -> str:
    """Without what moves a terminal's cursor or changes its colours: senders and replies are strangers' words."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _show_steps(console: "Console", mail: MailLine) -> None:
    from rich.text import Text

    console.print(Text.assemble((mail.id, "bold"), f"  {printable(mail.message_id)}"))
    console.print(Text(f"{local(mail.accepted_at)}  {printable(trace_words.accepted(mail))}"))
    if mail.subject:
        console.print(Text(f"{'':<19}  subject: {printable(mail.subject)}"))
    for at, line, more in trace_words.steps(mail):
        word = line.partition(" ")[0].rstrip(":")
        style = {"put": "yellow", "goes": "cyan"}.get(word, STYLES.get(word, ""))
        start = f"{local(at)}  {trace_words.after(mail, at):<8} "
        console.print(Text.assemble(start, (printable(line), style)))
        for further in more:
            console.print(Text(" " * len(start) + printable(further)))
    left = trace_words.waiting(mail)
    if left:
        console.print(Text(printable(left)))


def _show_table(console: "Console", mails: Sequence[MailLine]) -> None:
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(
        Column("id", no_wrap=True), Column("accepted", no_wrap=True), "sender", "recipients", "outcome", "last reply"
    )  # fmt: skip
    for mail in mails:
        outcome = trace_words.summary(mail)
        first = mail.recipients[0].address if mail.recipients else ""
        more = len(mail.recipients) - 1
        table.add_row(
            mail.id,
            local(mail.accepted_at),
            Text(printable(mail.sender or "<>")),
            Text(printable(first) + (f"\nand {more} more" if more > 0 else "")),
            Text(outcome, _style(outcome)),
            Text(printable(mail.steps[-1].reply) if mail.steps else ""),
        )
    console.print(table)


def _style(outcome: str) -> str:
    return next((style for word, style in reversed(STYLES.items()) if word in outcome), "")
