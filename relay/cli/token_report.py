"""What `token check` tells: an application's token, and each mailbox it is for; never the token."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from rich.console import Console


class MailboxReport(Struct):
    """One mailbox of a route."""

    route: str
    mailbox: str
    troubles: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Report(Struct):
    """One application, whose token serves all of its mailboxes."""

    application: str
    authority: str
    scope: str
    mailboxes: tuple[MailboxReport, ...]
    lifetime_s: float = 0.0
    audience: str = ""
    application_id: str = ""
    object_id: str = ""
    tenant: str = ""
    roles: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    """Why there is no token to look into."""
    warnings: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """There is a token, and every mailbox may use it as far as it shows."""
        return not self.troubles and not any(each.troubles for each in self.mailboxes)


def as_json(reports: Sequence[Report]) -> str:
    """For programs."""
    return msgspec.json.encode({"applications": reports}).decode()


def show(reports: Sequence[Report]) -> None:
    """For people."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for i, report in enumerate(reports):
        if i:
            console.print()
        for mark, style, text in _lines(report):
            _print(console, mark, style, text)


def _print(console: "Console", mark: str, style: str, text: str) -> None:
    from rich.text import Text

    console.print(Text.assemble((mark, style), text))


def _lines(report: Report) -> list[tuple[str, str, str]]:
    rows = [
        ("application", report.application),
        ("authority", report.authority),
        ("scope", report.scope),
    ]
    if report.lifetime_s:
        rows += [
            ("lifetime", f"{report.lifetime_s / 60:.0f} minutes"),
            ("audience", report.audience),
            ("application id", report.application_id),
            ("object id", report.object_id),
            ("tenant", report.tenant),
            ("roles", ", ".join(report.roles) or "none"),
        ]
    lines = [(f"{key:<16}", "bold", value) for key, value in rows if value]
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
