"""`token check`: tokens fetched as the deliverer would, and their claims beside what SMTP wants.

One request for each application, however many mailboxes of however many routes it is for.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from relay.cli import token_report
from relay.cli.dkim_say import printable
from relay.cli.token_report import MailboxReport, Report
from relay.config.read import read
from relay.errors import ConfigurationError
from relay.identity import claims as token_claims
from relay.identity import expiry
from relay.identity.access import TokenRefused
from relay.process.exits import Exit
from relay.route.oauth import Application, OAuth
from relay.route.route import Route

WORST_FIRST = (Exit.CONFIGURATION, Exit.FOUND, Exit.UNAVAILABLE, Exit.OK)
"""Of several applications: what somebody must mend counts more than what may pass."""

Mailbox = tuple[Route, OAuth]


def check(path: Path, route: str | None, mailbox: str | None, *, as_json: bool) -> Exit:
    """Fetch, judge, print."""
    chosen = _chosen(read(path, time.time()).routes, route, mailbox)
    applications: dict[Application, list[Mailbox]] = {}
    for each in chosen:
        applications.setdefault(each[1].application, []).append(each)
    judged = [_judge(application, mailboxes) for application, mailboxes in applications.items()]
    reports = [report for report, _ in judged]
    if as_json:
        print(token_report.as_json(reports))
    else:
        token_report.show(reports)
    return min((status for _, status in judged), key=WORST_FIRST.index)


def _chosen(routes: Iterable[Route], name: str | None, mailbox: str | None) -> list[Mailbox]:
    logins = [(route, login) for route in routes for login in route.logins]
    found = [(route, login) for route, login in logins if isinstance(login, OAuth)]
    if not found:
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
    # msal takes 0.1 s: not for a wrong configuration.
    from relay.identity.token import fetch

    report = Report(
        str(application),
        application.authority,
        application.scope,
        tuple(MailboxReport(route.name, oauth.username) for route, oauth in mailboxes),
    )
    credential, now = expiry.of_application(application), time.time()
    if credential is not None and expiry.stage(credential, now) is not None:
        report.warnings = (expiry.sentence(credential, now),)
    try:
        fetched = fetch(application)
    except TokenRefused as error:
        report.troubles = (printable(str(error)),)
        return report, Exit.CONFIGURATION if error.is_fault else Exit.UNAVAILABLE
    report.lifetime_s = fetched.lifetime_s
    claims = token_claims.read(fetched.text)
    if claims is None:
        report.troubles = ("the authority's token is no JSON Web Token and cannot be looked into",)
    else:
        _enter(report, claims, mailboxes)
    return report, Exit.OK if report.is_good else Exit.FOUND


def _enter(report: Report, claims: token_claims.Claims, mailboxes: Sequence[Mailbox]) -> None:
    # From outside, and for a terminal: nothing that steers it.
    report.audience = printable(claims.aud)
    report.application_id = printable(claims.application)
    report.object_id = printable(claims.oid)
    report.tenant = printable(claims.tid)
    report.roles = tuple(map(printable, claims.roles))
    for each, (_, oauth) in zip(report.mailboxes, mailboxes, strict=True):
        each.troubles = tuple(map(printable, token_claims.troubles(claims, oauth)))
        each.warnings = tuple(map(printable, token_claims.doubts(claims, oauth)))
