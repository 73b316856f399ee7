"""What `token check` tells: an application's token, and each mailbox it is for; never the token."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from relay.cli import token_graph
from relay.cli.token_graph import GraphReport
from relay.cli.token_look import TokenReport, rows

if TYPE_CHECKING:
    from rich.console import Console


class MailboxReport(Struct):
    """One mailbox of a route."""

    route: str
    mailbox: str
    troubles: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Report(TokenReport, kw_only=True):
    """One application, whose token serves all of its mailboxes."""

    mailboxes: tuple[MailboxReport, ...]

    @property
    def is_good(self) -> bool:
        """There is a token, and every mailbox may use it as far as it shows."""
        return not self.troubles and not any(each.troubles for each in self.mailboxes)


def as_json(reports: Sequence[Report], graph: GraphReport | None = None) -> str:
    """For programs."""
    return msgspec.json.encode({"applications": reports, "graph": graph}).decode()


def show(reports: Sequence[Report], graph: GraphReport | None = None) -> None:
    """For people."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    blocks = [_lines(report) for report in reports]
    if graph is not None:
        blocks.append(token_graph.lines(graph))
    for i, block in enumerate(blocks):
        if i:
            console.print()
        for mark, style, text in block:
            _print(console, mark, style, text)


def _print(console: "Console", mark: str, style: str, text: str) -> None:
    from rich.text import Text

    console.print(Text.assemble((mark, style), text))


def _lines(report: Report) -> list[tuple[str, str, str]]:
    lines = [(f"{key:<16}", "bold", value) for key, value in rows(report) if value]
    # What is wrong for one mailbox is wrong for most: told once, above the list.
    warnings = (*report.warnings, *(text for each in report.mailboxes for text in each.warnings))
    troubles = (*report.troubles, *(text for each in report.mailboxes for text in each.troubles))
    lines += [("! ", "yellow", text) for text in dict.fromkeys(warnings)]
    lines += [("✗ ", "red", text) for text in dict.fromkeys(troubles)]
    lines += [_mailbox_line(report, each) for each in report.mailboxes]
    if report.is_good:
        lines.append(("✓ ", "green", "the authority gives a token, and it looks right for SMTP"))
        lines.append(("", "", _what_no_token_shows(report)))
    return lines


def _mailbox_line(report: Report, each: MailboxReport) -> tuple[str, str, str]:
    text = f"{each.mailbox} on the route {each.route}"
    return ("✗ ", "red", text) if report.troubles or each.troubles else ("✓ ", "green", text)


def _what_no_token_shows(report: Report) -> str:
    names = list(dict.fromkeys(each.mailbox for each in report.mailboxes))
    which = names[0] if len(names) == 1 else "each mailbox"
    return (
        "What no token shows, in Exchange Online PowerShell: "
        f"Get-ServicePrincipal {report.application_id} must show ObjectId {report.object_id}, and "
        f"Get-MailboxPermission {which} must name it (or RBAC for Applications covers the mailbox)."
    )
