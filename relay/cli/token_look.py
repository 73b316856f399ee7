"""A token fetched as the relay would, and what is in it entered into a report; never the token itself."""

import time

from msgspec import Struct

from relay.cli.dkim_say import printable
from relay.identity import claims as token_claims
from relay.identity import expiry
from relay.identity.access import TokenRefused
from relay.process.exits import Exit
from relay.route.oauth import Application


class TokenReport(Struct, kw_only=True):
    """One application, and a token of it."""

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
    """Why there is no token to look into, or what is wrong with it for everybody."""
    warnings: tuple[str, ...] = ()


def look(report: TokenReport, application: Application) -> tuple[token_claims.Claims | None, Exit]:
    """The claims of a fresh token, as the authority wrote them, and OK; or why there are none, and how it ends."""
    # msal takes 0.1 s: not for a wrong configuration.
    from relay.identity.token import fetch

    credential, now = expiry.of_application(application), time.time()
    if credential is not None and expiry.stage(credential, now) is not None:
        report.warnings = (expiry.sentence(credential, now),)
    try:
        fetched = fetch(application)
    except TokenRefused as error:
        report.troubles = (printable(str(error)),)
        return None, Exit.CONFIGURATION if error.is_fault else Exit.UNAVAILABLE
    report.lifetime_s = fetched.lifetime_s
    claims = token_claims.read(fetched.text)
    if claims is None:
        report.troubles = ("the authority's token is no JSON Web Token and cannot be looked into",)
        return None, Exit.FOUND
    # From outside, and for a terminal: nothing that steers it.
    report.audience = printable(claims.aud)
    report.application_id = printable(claims.application)
    report.object_id = printable(claims.oid)
    report.tenant = printable(claims.tid)
    report.roles = tuple(map(printable, claims.roles))
    return claims, Exit.OK


def rows(report: TokenReport) -> list[tuple[str, str]]:
    """What it is, and what is in the token, for people; empty where there is nothing."""
    found = [
        ("application", report.application),
        ("authority", report.authority),
        ("scope", report.scope),
    ]
    if report.lifetime_s:
        found += [
            ("lifetime", f"{report.lifetime_s / 60:.0f} minutes"),
            ("audience", report.audience),
            ("application id", report.application_id),
            ("object id", report.object_id),
            ("tenant", report.tenant),
            ("roles", ", ".join(report.roles) or "none"),
        ]
    return found
