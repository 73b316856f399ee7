"""A mail that was taken in → the change that puts it into the spool.

Only what we add is written: Received always (RFC 5321 section 4.4), Message-ID and
Date when they are missing (RFC 6409 section 8), X-Original-From when From was rewritten.
It goes before the first byte of the content, which stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.identity.client import ANYTHING, Policy
from relay.message.envelope import Envelope, Recipient
from relay.message.priority import Priority
from relay.message.received import date_field, message_id_field, protocol_name, received_field
from relay.message.subject import subject_of
from relay.receive.intake import Intake
from relay.receive.timing import ALWAYS, Span
from relay.smtp.command import MailCommand
from relay.spool.change import Accept
from relay.trace.seen.sighting import NOTHING

MAX_MESSAGE_ID = 998
"""Of a Message-ID we show what fits a line (RFC 5322 section 2.1.1)."""


@dataclass(slots=True)
class Origin:
    """Where the mails of a session come from; changes with EHLO, TLS and AUTH."""

    hostname: str
    """Ours."""
    client: str
    helo: bytes = b""
    is_extended: bool = False
    tls: str = ""
    """Version and cipher, empty without TLS."""
    priority: Priority = Priority.NORMAL
    """Of a mail that asks for none."""
    priority_max: Priority = Priority.HIGH
    """The highest that one may ask for."""
    account: str = ""
    """Name of the client, where it is known by one."""
    is_logged_in: bool = False
    policy: Policy = ANYTHING
    keeps_subject: bool = False
    """For the history."""
    way: str = NOTHING
    """How it proves who it is, as the record of who was seen has it."""


def accept(
    origin: Origin,
    mail: MailCommand,
    sender: bytes,
    recipients: Sequence[Recipient],
    id: int,
    name: str,
    content: bytearray,
    intake: Intake,
    streamed_bytes: int,
    chunks: int,
    now: float,
    span: Span = ALWAYS,
) -> Accept:
    """The change. `content` is the mail's beginning, all of it when `chunks` is 1; it is used up.

    `sender` is the reverse-path that goes on, `intake` what was found in `content`; `name` is the queue id as
    people see it; `streamed_bytes` are in the spool already, in the other records; `span` says when the mail may go.
    """
    header, wishes = intake.header, intake.wishes
    protocol = protocol_name(
        esmtp=origin.is_extended, tls=bool(origin.tls), auth=origin.is_logged_in, utf8=mail.is_utf8
    )
    head = bytearray(
        received_field(
            helo=origin.helo,
            client=origin.client,
            hostname=origin.hostname,
            protocol=protocol,
            queue_id=name,
            now=now,
            recipient=recipients[0].address if len(recipients) == 1 else None,
            tls=origin.tls,
        )
    )
    message_id = header.get(b"Message-ID")
    if message_id is None:
        field = message_id_field(name, origin.hostname)
        message_id = field.partition(b":")[2].strip()
        head += field
    if not header.has(b"Date"):
        head += date_field(now)
    if intake.original_from:
        head += b"X-Original-From: %b\r\n" % intake.original_from
    if header.needs_blank_line:
        head += b"\r\n"
    head += content
    envelope = Envelope(
        id,
        sender,
        tuple(recipients),
        now,
        len(head) + streamed_bytes,
        chunks,
        origin.client,
        origin.helo,
        mail.is_8bit,
        mail.is_utf8,
        mail.ret,
        mail.envid,
        message_id[:MAX_MESSAGE_ID],
        origin.account,
        priority=_priority(origin, mail, wishes.priority),
        campaign=wishes.campaign or origin.policy.campaign,
        not_before=span.not_before,
        deadline=span.deadline,
        original_sender=None if sender == mail.sender else mail.sender,
        uncertain=wishes.uncertain,
        subject=subject_of(header) if origin.keeps_subject else "",
    )
    return Accept(envelope, head)


def _priority(origin: Origin, mail: MailCommand, wish: Priority | None) -> Priority:
    """The mail's own field counts more than its envelope's: the one who wrote the mail knows what it is."""
    if wish is None:
        wish = origin.priority if mail.mt_priority is None else Priority.of_mt(mail.mt_priority)
    return wish.capped(origin.priority_max)
