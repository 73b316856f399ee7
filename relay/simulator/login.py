"""AUTH: who may log in, with a password or with a token, and the reply when not.

Pure. The texts are those of the two services: High Volume Email names what is wrong
with a token, client submission does not.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relay.simulator import texts
from relay.simulator.mail import folded
from relay.simulator.options import ApplicationTable
from relay.simulator.tenant import Account, Tenant, Visit
from relay.simulator.token import AUDIENCES, Claims, TokenKey

ROLES = {"submission": "SMTP.SendAsApp", "high_volume": "Mail.Send"}
"""The application permission that each service wants."""


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Judges credentials for one service; each answer is None, once the visit has its account, or a reply."""

    tenant: Tenant
    service: str
    key: TokenKey
    applications: Mapping[str, ApplicationTable]
    """By client id."""

    def judge_password(self, visit: Visit, name: bytes, password: bytes, now: float) -> bytes | None:
        """AUTH LOGIN."""
        account = self._account(name)
        if account is None:
            return texts.login_refused(texts.WRONG, now, visit.session_id)
        why = self._switched_off(account)
        if not self.tenant.options.basic_auth:
            why = texts.BASIC_DISABLED
        if why is None and password != account.options.password.encode():
            why = texts.WRONG
        if why is not None:
            return texts.login_refused(why, now, visit.session_id)
        account.enter(visit)
        return None

    def judge_token(self, visit: Visit, blob: bytes, now: float) -> bytes | None:
        """AUTH XOAUTH2."""
        parsed = parse_xoauth2(blob)
        if parsed is None:
            return self._differs(texts.XOAUTH2_MALFORMED, visit, now)
        name, token = parsed
        account, claims = self._account(name), self.key.read(token)
        if account is None or claims is None:
            return self._differs(texts.TOKEN_REFUSED, visit, now)
        refusal = self._judge_claims(account, claims, visit, now)
        if refusal is None:
            visit.token_ends = claims.exp
            account.enter(visit)
        return refusal

    def _judge_claims(self, account: Account, claims: Claims, visit: Visit, now: float) -> bytes | None:
        application = self.applications.get(claims.appid)
        if now >= claims.exp:
            return self._differs(texts.TOKEN_EXPIRED, visit, now)
        if self.service == "high_volume" and now >= claims.exp - self.tenant.limits.token_margin:
            return texts.TOKEN_ENDS_SOON
        if claims.aud not in AUDIENCES or application is None:
            return self._differs(texts.TOKEN_REFUSED, visit, now)
        if ROLES[self.service] not in claims.roles:
            return self._differs(texts.TOKEN_LACKS_ROLE, visit, now)
        if not _is_allowed(account, application.mailboxes):
            return self._differs(texts.APPLICATION_REFUSED, visit, now)
        why = self._switched_off(account)
        return None if why is None else texts.login_refused(why, now, visit.session_id)

    def _account(self, name: bytes) -> Account | None:
        return self.tenant.accounts.get(folded(name))

    def _switched_off(self, account: Account) -> str | None:
        """High Volume Email works whatever the switches say."""
        if self.service == "high_volume":
            return None
        if not self.tenant.options.smtp_auth:
            return texts.TENANT_DISABLED
        return None if account.options.smtp_auth else texts.MAILBOX_DISABLED

    def _differs(self, high_volume: bytes, visit: Visit, now: float) -> bytes:
        """What High Volume Email says, or the one sentence of client submission."""
        if self.service == "high_volume":
            return high_volume
        return texts.login_refused(texts.WRONG, now, visit.session_id)


def parse_xoauth2(blob: bytes) -> tuple[bytes, str] | None:
    """User and token of `base64("user=" … ^A "auth=Bearer " … ^A ^A)`."""
    fields = (decode_base64(blob) or b"").split(b"\x01")
    if len(fields) != 4 or fields[2:] != [b"", b""]:
        return None
    user, auth = fields[0], fields[1]
    if user[:5].lower() != b"user=" or auth[:12].lower() != b"auth=bearer " or not auth.isascii():
        return None
    return user[5:], auth[12:].decode()


def decode_base64(text: bytes) -> bytes | None:
    """The bytes behind it; None when it is none."""
    try:
        return b64decode(text, validate=True)
    except binascii.Error:
        return None


def _is_allowed(account: Account, mailboxes: Sequence[str] | None) -> bool:
    return mailboxes is None or folded(account.address.encode()) in {
        folded(each.encode()) for each in mailboxes
    }
