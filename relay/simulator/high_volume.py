"""High Volume Email, as at smtp.hve.mx.microsoft:587: inside the tenant only, from the account itself only.

No transcript is public. PIPELINING and CHUNKING are left out of EHLO, so that a client
that takes them for granted shows it; texts marked as ours in `texts` carry the codes
that are known.
"""

from itertools import count

from relay.simulator import texts
from relay.simulator.ledger import Ledger
from relay.simulator.mail import Later, Mail, folded
from relay.simulator.submission import Submission
from relay.simulator.tenant import Account, Tenant, Visit


class HighVolume(Submission):
    """A `Service`: no limit on mails or recipients over time, but rules on each mail."""

    name = "high_volume"

    def __init__(self, tenant: Tenant, ledger: Ledger, ids: "count[int]") -> None:
        super().__init__(tenant, ledger, ids)
        self.message_size = tenant.limits.high_volume_size

    def keywords(self, is_secured: bool) -> tuple[bytes, ...]:
        """What a client may not do without."""
        return (
            b"SIZE %d" % self.message_size if self.message_size else b"SIZE",
            b"DSN",
            b"ENHANCEDSTATUSCODES",
            b"AUTH LOGIN XOAUTH2" if is_secured else b"STARTTLS",
            b"8BITMIME",
            b"SMTPUTF8",
        )

    def judge_sender(self, visit: Visit, sender: bytes, now: float) -> bytes:
        """The account only, and only as long as its token holds."""
        account = visit.account
        if account is None:
            return texts.NOT_AUTHENTICATED
        if account.options.kind != "high-volume":
            return self._violated("high_volume_user", texts.HIGH_VOLUME_USER)
        if now >= visit.token_ends:
            return self._violated("token_lifetime", texts.TOKEN_EXPIRED)
        if folded(sender) != folded(account.address.encode()):
            return self._violated("high_volume_sender", texts.HIGH_VOLUME_SENDER)
        return texts.SENDER_OK

    def judge_recipient(self, visit: Visit, mail: Mail, recipient: bytes, now: float) -> bytes:
        """Inside, and no more than 50."""
        allowed = self.limits.high_volume_recipients
        if not self.tenant.is_inside(recipient):
            return self._violated("high_volume_outside", texts.HIGH_VOLUME_OUTSIDE)
        if allowed and len(mail.recipients) >= allowed:
            return self._violated("high_volume_recipients", texts.TOO_MANY_RECIPIENTS)
        return texts.NO_SUCH_USER if self.tenant.is_missing(recipient) else texts.RECIPIENT_OK

    def judge_mail(self, visit: Visit, mail: Mail, now: float) -> bytes | Later:
        """The author must be the account too."""
        account: Account = self._account(visit)
        if folded(mail.author) != folded(account.address.encode()):
            account.refused += 1
            return self._violated("high_volume_from", texts.HIGH_VOLUME_FROM)
        account.accepted += 1
        return self._take(account, visit, mail, now)

    def _violated(self, limit: str, reply: bytes) -> bytes:
        self.ledger.violations[limit] += 1
        return reply
