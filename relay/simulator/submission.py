"""Client submission, as at smtp.office365.com:587: one mailbox's mail, within one mailbox's limits.

Everything that concerns the mailbox is said in reply to the end of the data, where
Exchange says it: an over-limit session costs its client a full upload.
"""

from itertools import count

from relay.simulator import texts
from relay.simulator.ledger import Kept, Ledger
from relay.simulator.mail import Later, Mail
from relay.simulator.tenant import Account, Tenant, Trouble, Visit


class Submission:
    """A `Service`."""

    name = "submission"
    front = texts.FRONT
    offers_auth = True

    def __init__(self, tenant: Tenant, ledger: Ledger, ids: "count[int]") -> None:
        self.tenant = tenant
        self.ledger = ledger
        self.limits = tenant.limits
        self.message_size = self.limits.message_size
        self._ids = ids

    def keywords(self, is_secured: bool) -> tuple[bytes, ...]:
        """In the order of the transcripts."""
        return (
            b"SIZE %d" % self.message_size if self.message_size else b"SIZE",
            b"PIPELINING",
            b"DSN",
            b"ENHANCEDSTATUSCODES",
            b"AUTH LOGIN XOAUTH2" if is_secured else b"STARTTLS",
            b"8BITMIME",
            b"BINARYMIME",
            b"CHUNKING",
            b"SMTPUTF8",
        )

    def enter(self) -> None:
        """A session begins."""
        self.ledger.sessions[self.name] += 1

    def leave(self, visit: Visit) -> None:
        """It is over."""
        self.tenant.leave(visit)

    def turn_away(self, now: float) -> bytes | None:
        """Everybody is served."""
        return None

    def judge_sender(self, visit: Visit, sender: bytes, now: float) -> bytes:
        """Any sender, once somebody has logged in."""
        return texts.SENDER_OK if visit.account is not None else texts.NOT_AUTHENTICATED

    def judge_recipient(self, visit: Visit, mail: Mail, recipient: bytes, now: float) -> bytes:
        """Up to the mailbox's number of recipients, if they exist."""
        account = self._account(visit)
        allowed = self.limits.recipients_per_message
        if allowed and len(mail.recipients) >= allowed:
            if self._is_first(account, mail, Trouble.TOO_MANY_RECIPIENTS, now):
                self.ledger.violations["recipients_per_message"] += 1
            return texts.TOO_MANY_RECIPIENTS
        if self.tenant.is_missing(recipient):
            self._is_first(account, mail, Trouble.INVALID_RECIPIENT, now)
            return texts.NO_SUCH_USER
        return texts.RECIPIENT_OK

    def judge_mail(self, visit: Visit, mail: Mail, now: float) -> bytes | Later:
        """Taken from all windows, or refused and taken from none."""
        account = self._account(visit)
        refusal = self._refusal(account, visit, mail, now) or self._over_quota(account, mail, now)
        if refusal is not None:
            account.refused += 1
            return refusal
        if not account.messages.fits(now):
            if not mail.is_late:
                self.ledger.violations["messages"] += 1
                mail.is_late = True
            if self.limits.messages_mode == "delay":
                return Later(account.messages.free_at(now))
            account.refused += 1
            return texts.TOO_MANY_MESSAGES
        account.messages.add(now)
        account.recipients.add(now, len(mail.recipients))
        self.tenant.external.add(now, mail.external)
        account.accepted += 1
        return self._take(account, visit, mail, now)

    def _account(self, visit: Visit) -> Account:
        assert visit.account is not None, "MAIL is refused without AUTH"
        return visit.account

    def _is_first(self, account: Account, mail: Mail, trouble: Trouble, now: float) -> bool:
        """Count it, unless this mail had the same trouble with another recipient."""
        if trouble.name in mail.troubles:
            return False
        mail.troubles.add(trouble.name)
        account.err(trouble, now)
        return True

    def _refusal(self, account: Account, visit: Visit, mail: Mail, now: float) -> bytes | None:
        blocked = account.block(now)
        if blocked is not None:
            self.ledger.violations["block"] += 1
            return blocked
        if account.is_beyond(visit):
            self.ledger.violations["connections"] += 1
            return texts.TOO_MANY_CONNECTIONS
        return self._of_state(account, now) or self._of_sender(account, mail, now)

    def _of_state(self, account: Account, now: float) -> bytes | None:
        match account.options.state:
            case "full":
                account.err(Trouble.MAILBOX_FULL, now)
                return texts.MAILBOX_FULL
            case "unlicensed":
                account.err(Trouble.LICENCE, now)
                return texts.UNLICENSED
        return None

    def _of_sender(self, account: Account, mail: Mail, now: float) -> bytes | None:
        for address in (mail.sender, mail.author):
            if address and not account.may_send_as(address):
                self.ledger.violations["send_as"] += 1
                account.err(Trouble.SEND_AS, now)
                return texts.send_as_denied(account.address, address.decode("utf-8", "backslashreplace"))
        return None

    def _over_quota(self, account: Account, mail: Mail, now: float) -> bytes | None:
        if not account.recipients.fits(now, len(mail.recipients)):
            self.ledger.violations["recipients"] += 1
            return texts.QUOTA_EXCEEDED
        mail.external = sum(not self.tenant.is_inside(address) for address in mail.recipients)
        if mail.external and not self.tenant.external.fits(now, mail.external):
            self.ledger.violations["external_recipients"] += 1
            return texts.TENANT_LIMIT
        return None

    def _take(self, account: Account, visit: Visit, mail: Mail, now: float) -> bytes:
        message_id = book(self.ledger, next(self._ids), self.name, account.address, visit, mail, now)
        return texts.submitted(message_id)


def book(ledger: Ledger, id: int, service: str, mailbox: str, visit: Visit, mail: Mail, now: float) -> bytes:
    """Enter a mail that was taken; its Message-ID, or the one that Exchange gives it."""
    message_id = mail.message_id or b"<%s.%d@%s>" % (visit.session_id.encode(), id, texts.BACK.encode())
    ledger.accept(
        Kept(
            id,
            service,
            mailbox,
            _text(mail.sender),
            tuple(map(_text, mail.recipients)),
            _text(message_id),
            mail.size,
            now,
            visit.session_id,
        ),
        mail.external,
    )
    return message_id


def _text(wire: bytes) -> str:
    return wire.decode("utf-8", "backslashreplace")
