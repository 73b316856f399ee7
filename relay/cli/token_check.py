"""`token check`: tokens fetched as the deliverer would, and their claims beside what SMTP wants.

One request for each application, however many mailboxes of however many routes it is for, and one for `[graph]`.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from relay.cli import token_graph, token_report
from relay.cli.dkim_say import printable
from relay.cli.token_look import look
from relay.cli.token_report import MailboxReport, Report
from relay.config.read import read
from relay.errors import ConfigurationError
from relay.identity import claims as token_claims
from relay.process.exits import Exit
from relay.route.oauth import Application, OAuth
from relay.route.route import Route

WORST_FIRST = (Exit.CONFIGURATION, Exit.FOUND, Exit.UNAVAILABLE, Exit.OK)
"""Of several applications: what somebody must mend counts more than what may pass."""

Mailbox = tuple[Route, OAuth]


def check(path: Path, route: str | None, mailbox: str | None, *, as_json: bool) -> Exit:
    """Fetch, judge, print."""
    configuration = read(path, time.time())
    # Whoever names a route or a mailbox wants to know of that alone.
    graph = configuration.graph if route is None and mailbox is None else None
    chosen = _chosen(configuration.routes, route, mailbox, may_be_none=graph is not None)
    applications: dict[Application, list[Mailbox]] = {}
    for each in chosen:
        applications.setdefault(each[1].application, []).append(each)
    judged = [_judge(application, mailboxes) for application, mailboxes in applications.items()]
    reports, found = [report for report, _ in judged], [status for _, status in judged]
    of_graph = None
    if graph is not None:
        of_graph, status = token_graph.judge(configuration, graph)
        found.append(status)
    if as_json:
        print(token_report.as_json(reports, of_graph))
    else:
        token_report.show(reports, of_graph)
    return min(found, key=WORST_FIRST.index)


def _chosen(
    routes: Iterable[Route], name: str | None, mailbox: str | None, *, may_be_none: bool
) -> list[Mailbox]:
    logins = [(route, login) for route in routes for login in route.logins]
    found = [(route, login) for route, login in logins if isinstance(login, OAuth)]
    if not found:
        if may_be_none:
            return []
        raise ConfigurationError("no route logs in with OAuth; give one a [route.oauth] table")
    named = [each for each in found if name in (None, each[0].name)]
    if not named:
        names = ", ".join(dict.fromkeys(route.name for route, _ in found))
        raise ConfigurationError(f'no route called "{name}" logs in with OAuth; those that do: {names}')
    if mailbox is None:
        return named
    chosen = [each for each in named if each[1].username.lower() == mailbox.lower()]
    if not chosen:
        names = ", ".join(dict.fromkeys(oauth.username for _, oauth in named))
        raise ConfigurationError(f'no mailbox "{mailbox}" logs in with OAuth; those that do: {names}')
    return chosen


def _judge(application: Application, mailboxes: Sequence[Mailbox]) -> tuple[Report, Exit]:
    report = Report(
        application=str(application),
        authority=application.authority,
        scope=application.scope,
        mailboxes=tuple(MailboxReport(route.name, oauth.username) for route, oauth in mailboxes),
    )
    claims, status = look(report, application)
    if claims is None:
        return report, status
    for each, (_, oauth) in zip(report.mailboxes, mailboxes, strict=True):
        each.troubles = tuple(map(printable, token_claims.troubles(claims, oauth)))
        each.warnings = tuple(map(printable, token_claims.doubts(claims, oauth)))
    return report, Exit.OK if report.is_good else Exit.FOUND
