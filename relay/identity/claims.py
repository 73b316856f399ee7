"""What stands in a token, and what is wrong with it for SMTP.

A token is a signed JSON object (RFC 7519). It is read here, not verified: it is ours, and
the server that takes it verifies it. When that server refuses it with one sentence for
all faults, its claims are what tells the administrator which one it is.
"""

from base64 import urlsafe_b64decode

import msgspec
from msgspec import Struct

from relay.route.oauth import OAuth

EXCHANGE_ONLINE = "00000002-0000-0ff1-ce00-000000000000"
"""Application id of Office 365 Exchange Online, the audience where it is not written as an address."""


class Claims(Struct, frozen=True):
    """What is of use of an app-only token of Entra's."""

    aud: str = ""
    """For which resource."""
    appid: str = ""
    """The application."""
    azp: str = ""
    """The same in tokens of version 2.0."""
    oid: str = ""
    """Object id of the enterprise application (service principal): what New-ServicePrincipal wants."""
    tid: str = ""
    """The tenant."""
    roles: tuple[str, ...] = ()
    """Application permissions with admin consent."""

    @property
    def application(self) -> str:
        """The application, in either version."""
        return self.appid or self.azp


def read(token: str) -> Claims | None:
    """The claims; None when it is no JSON Web Token (an authority may give out others)."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        return msgspec.json.decode(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), type=Claims)
    except (ValueError, msgspec.DecodeError):
        return None


def troubles(claims: Claims, oauth: OAuth) -> list[str]:
    """What must be changed before a server takes it, a sentence each; none when it looks right."""
    found = []
    if oauth.audiences and claims.aud.rstrip("/") not in (*oauth.audiences, EXCHANGE_ONLINE):
        found.append(
            f"the token is for {claims.aud or 'nothing'}, and SMTP takes one for {oauth.audiences[0]}; "
            f"set scope to {oauth.audiences[0]}/.default, or leave it out"
        )
    elif _lacks_role(claims, oauth) and not _may_lack_role(oauth):
        found.append(_role_sentence(claims, oauth))
    if not claims.oid:
        found.append(
            "the token names no object: the application has no enterprise application in this tenant; "
            "add it there and grant admin consent"
        )
    return found


def doubts(claims: Claims, oauth: OAuth) -> list[str]:
    """What is right or wrong by something that a token does not show."""
    if _lacks_role(claims, oauth) and _may_lack_role(oauth) and not troubles(claims, oauth):
        return [
            f"{_role_sentence(claims, oauth)}; right only where RBAC for Applications covers the mailbox instead"
        ]
    return []


def _lacks_role(claims: Claims, oauth: OAuth) -> bool:
    return bool(oauth.role) and oauth.role not in claims.roles


def _may_lack_role(oauth: OAuth) -> bool:
    """RBAC for Applications knows SMTP.SendAsApp, and wants it left out of the token (DEV: smtp-app-rbac-onboarding)."""
    return oauth.role == "SMTP.SendAsApp"


def _role_sentence(claims: Claims, oauth: OAuth) -> str:
    return (
        f"the token lacks the role {oauth.role} (it has {', '.join(claims.roles) or 'none'}); give the application "
        "that permission of Office 365 Exchange Online and grant admin consent"
    )


def explain(token: str, oauth: OAuth) -> str:
    """For a token that a server refused: what is wrong with it, or what to compare outside of it."""
    claims = read(token)
    if claims is None:
        return "the token cannot be read"
    found = troubles(claims, oauth) or doubts(claims, oauth)
    if found:
        return "; ".join(found)
    return (
        f"the token looks right (role {oauth.role or 'not known'}); compare in Exchange: Get-ServicePrincipal must show "
        f"AppId {claims.application} with ObjectId {claims.oid}, and it needs a right to the mailbox {oauth.username}"
    )
