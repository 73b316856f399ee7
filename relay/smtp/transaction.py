"""One mail on one connection: what is asked for it, and what was answered.

The commands of the envelope (RFC 5321 section 4.1.1, parameters of RFC 1870, 6152,
6531 and 3461 where the server offers them), why a server cannot take the mail at
all, and the reply that decided for each recipient. Nothing is ever converted: a
signature would break, and a relay that edits is trusted by nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from relay.smtp.offer import Offer
from relay.smtp.reply import Reply


class Recipient(Protocol):
    """A forward-path with its DSN parameters, as in the envelope."""

    @property
    def address(self) -> bytes: ...
    @property
    def notify(self) -> bytes: ...
    @property
    def orcpt(self) -> bytes: ...


class Mail(Protocol):
    """What the commands need of an envelope."""

    @property
    def sender(self) -> bytes: ...
    @property
    def size(self) -> int: ...
    @property
    def is_8bit(self) -> bool: ...
    @property
    def is_utf8(self) -> bool: ...
    @property
    def ret(self) -> bytes: ...
    @property
    def envid(self) -> bytes: ...


class Phase(Enum):
    """How far a transaction has come."""

    WAITING = "not begun"
    ENVELOPE = "its commands were sent"
    CONTENT = "the server wants the content"
    VERDICT = "the content was sent whole, its reply is awaited"
    DONE = "every recipient has its reply"


@dataclass(slots=True, eq=False)
class Transaction:
    """A mail, those of its recipients who are meant, and the first content record."""

    mail: Mail
    recipients: Sequence[Recipient]
    head: bytes
    chunks: int = 1
    """How many content records there are with `head`."""
    phase: Phase = Phase.WAITING
    mail_reply: Reply | None = None
    rcpt_replies: list[Reply] = field(default_factory=list)
    accepted: int = 0
    final: Reply | None = None
    content_begun: bool = False
    """Something of the content has left: a connection lost now may be the mail's doing."""

    @property
    def may_have_been_taken(self) -> bool:
        """Its content left whole, and no reply so far says that nobody could have it."""
        if self.mail_reply is not None and not self.mail_reply.is_positive:
            return False
        return self.accepted > 0 or len(self.rcpt_replies) < len(self.recipients)

    def replies(self) -> tuple[Reply, ...]:
        """The reply that decided for each recipient, in their order; once DONE."""
        refused = self.mail_reply
        if refused is not None and not refused.is_positive:
            return (refused,) * len(self.recipients)
        final = self.final
        return tuple(
            final if final is not None and reply.is_positive else reply for reply in self.rcpt_replies
        )


def commands(transaction: Transaction, offer: Offer) -> list[bytes]:
    """MAIL and a RCPT for each recipient."""
    mail = transaction.mail
    lines = [b"MAIL FROM:<%b>%b\r\n" % (mail.sender, _mail_parameters(mail, offer))]
    if offer.dsn:
        lines += [b"RCPT TO:<%b>%b\r\n" % (r.address, _rcpt_parameters(r)) for r in transaction.recipients]
    else:
        lines += [b"RCPT TO:<%b>\r\n" % r.address for r in transaction.recipients]
    return lines


def _mail_parameters(mail: Mail, offer: Offer) -> bytes:
    parameters = b" SIZE=%d" % mail.size if offer.size else b""
    if mail.is_8bit and offer.eight_bit:
        parameters += b" BODY=8BITMIME"
    if mail.is_utf8 and offer.utf8:
        parameters += b" SMTPUTF8"
    if offer.dsn and mail.ret:
        parameters += b" RET=" + mail.ret
    if offer.dsn and mail.envid:
        parameters += b" ENVID=" + mail.envid
    return parameters


def _rcpt_parameters(recipient: Recipient) -> bytes:
    parameters = b" NOTIFY=" + recipient.notify if recipient.notify else b""
    return parameters + b" ORCPT=" + recipient.orcpt if recipient.orcpt else parameters


def refusal(transaction: Transaction, offer: Offer) -> Reply | None:
    """Why this server cannot take the mail, as the reply it would give; None when it can."""
    mail = transaction.mail
    if offer.size_max and mail.size > offer.size_max:
        # RFC 1870 section 6.1: the client need not even try.
        return Reply(
            552, "5.3.4", f"not sent: {mail.size} bytes exceed the next hop's limit of {offer.size_max}"
        )
    if mail.is_utf8 and not offer.utf8 and _needs_utf8(transaction):
        return Reply(
            553, "5.6.7", "not sent: the next hop does not offer SMTPUTF8 (RFC 6531), which the mail needs"
        )
    if mail.is_8bit and not offer.eight_bit and _needs_8bit(transaction):
        return Reply(
            554, "5.6.3", "not sent: the next hop does not offer 8BITMIME (RFC 6152), which the mail needs"
        )
    return None


def _needs_utf8(transaction: Transaction) -> bool:
    """RFC 6531 section 3.5 asks for it when addresses or header are not ASCII, whatever the client declared."""
    head = transaction.head
    header_end = head.find(b"\r\n\r\n")
    addresses = [recipient.address for recipient in transaction.recipients]
    header = head if header_end == -1 else head[:header_end]
    return not all(text.isascii() for text in (transaction.mail.sender, header, *addresses))


def _needs_8bit(transaction: Transaction) -> bool:
    """Many clients declare 8BITMIME for plain ASCII, which every server may have.

    RFC 6152 section 3 lets a client convert or refuse, not send all the same. Postfix
    converts to quoted-printable, Exim sends it as it is; we keep to the second way the
    RFC names. A mail of several records is taken at its word: to read 150 MB for this
    rare case would be worse.
    """
    return transaction.chunks > 1 or not transaction.head.isascii()
