"""`token check`: a token fetched as the deliverer would, and its claims beside what SMTP wants."""

import time
from pathlib import Path

import msgspec
from msgspec import Struct

from relay.cli.dkim_say import printable
from relay.config.read import read
from relay.errors import ConfigurationError
from relay.identity import claims as token_claims
from relay.identity import expiry
from relay.identity.access import TokenRefused
from relay.process.exits import Exit
from relay.route.oauth import OAuth
from relay.route.route import Route


class Report(Struct):
    """What is told; never the token."""

    route: str
    mailbox: str
    application: str
    authority: str
    scope: str
    lifetime_s: float = 0.0
    audience: str = ""
    application_id: str = ""
    object_id: str = ""
    tenant: str = ""
    roles: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check(path: Path, name: str | None, *, as_json: bool) -> Exit:
    """Fetch, judge, print."""
    # msal takes 0.1 s: not for a wrong configuration.
    route, oauth = _chosen(read(path, time.time()).routes, name)
    from relay.identity.token import fetch

    application = oauth.application
    report = Report(route.name, oauth.username, str(application), application.authority, application.scope)
    credential, now = expiry.of_application(application), time.time()
    if credential is not None and expiry.stage(credential, now) is not None:
        report.warnings = (expiry.sentence(credential, now),)
    try:
        fetched = fetch(application)
    except TokenRefused as error:
        report.troubles = (printable(str(error)),)
        _print(report, as_json)
        return Exit.CONFIGURATION if error.is_fault else Exit.UNAVAILABLE
    report.lifetime_s = fetched.lifetime_s
    claims = token_claims.read(fetched.text)
    if claims is None:
        report.troubles = ("the authority's token is no JSON Web Token and cannot be looked into",)
    else:
        _enter(report, claims, oauth)
    _print(report, as_json)
    return Exit.FOUND if report.troubles else Exit.OK


def _chosen(routes: tuple[Route, ...], name: str | None) -> tuple[Route, OAuth]:
    found = [(route, route.credentials) for route in routes if isinstance(route.credentials, OAuth)]
    names = ", ".join(route.name for route, _ in found)
    if not found:
        raise ConfigurationError("no route logs in with OAuth; give one a [route.oauth] table")
    if name is None and len(found) > 1:
        raise ConfigurationError(f"several routes log in with OAuth; choose one with --route: {names}")
    for route, oauth in found:
        if name in (None, route.name):
            return route, oauth
    raise ConfigurationError(f'no route called "{name}" logs in with OAuth; those that do: {names}')


def _enter(report: Report, claims: token_claims.Claims, oauth: OAuth) -> None:
    # From outside, and for a terminal: nothing that steers it.
    report.audience = printable(claims.aud)
    report.application_id = printable(claims.application)
    report.object_id = printable(claims.oid)
    report.tenant = printable(claims.tid)
    report.roles = tuple(map(printable, claims.roles))
    report.troubles = tuple(map(printable, token_claims.troubles(claims, oauth)))
    report.warnings += tuple(map(printable, token_claims.doubts(claims, oauth)))


def _print(report: Report, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(report).decode())
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    rows = [("route", report.route), ("mailbox", report.mailbox), ("application", report.application)]
    rows += [("authority", report.authority), ("scope", report.scope)]
    if report.lifetime_s:
        rows += [
            ("lifetime", f"{report.lifetime_s / 60:.0f} minutes"),
            ("audience", report.audience),
            ("application id", report.application_id),
            ("object id", report.object_id),
            ("tenant", report.tenant),
            ("roles", ", ".join(report.roles) or "none"),
        ]
    for key, value in rows:
        if value:
            console.print(Text.assemble((f"{key:<16}", "bold"), value))
    for warning in report.warnings:
        console.print(Text.assemble(("! ", "yellow"), warning))
    for trouble in report.troubles:
        console.print(Text.assemble(("✗ ", "red"), trouble))
    if not report.troubles:
        console.print(
            Text.assemble(("✓ ", "green"), "the authority gives a token, and it looks right for SMTP")
        )
        console.print(
            Text(
                "What no token shows, in Exchange Online PowerShell: "
                f"Get-ServicePrincipal {report.application_id} must show ObjectId {report.object_id}, and "
                f"Get-MailboxPermission {report.mailbox} must name it (or RBAC for Applications covers the mailbox)."
            )
        )
