"""A mail whose data has ended → the change that puts it into the spool, or the reply that refuses it.

Only what we add is written: Received always (RFC 5321 section 4.4), Message-ID and
Date when they are missing (RFC 6409 section 8). It goes before the first byte of
the content, which stays as it came.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.message.envelope import Envelope, Recipient
from relay.message.header import Header
from relay.message.received import date_field, message_id_field, protocol_name, received_field
from relay.receive.options import Limits
from relay.receive.policy import judge_header
from relay.smtp.command import MailCommand
from relay.smtp.reply import Reply
from relay.spool.change import Accept

MAX_MESSAGE_ID = 998
"""Of a Message-ID we show what fits a line (RFC 5322 section 2.1.1)."""


@dataclass(slots=True)
class Origin:
    """Where the mails of a session come from; changes with EHLO and TLS."""

    hostname: str
    """Ours."""
    client: str
    helo: bytes = b""
    is_extended: bool = False
    tls: str = ""
    """Version and cipher, empty without TLS."""


def accept(
    origin: Origin,
    mail: MailCommand,
    recipients: Sequence[Recipient],
    id: int,
    name: str,
    content: bytearray,
    streamed_bytes: int,
    chunks: int,
    now: float,
    limits: Limits,
) -> Accept | Reply:
    """The change. `content` is the mail's beginning, all of it when `chunks` is 1; it is used up.

    `name` is the queue id as people see it; `streamed_bytes` are in the spool already, in the other records.
    """
    # One byte beyond the limit tells a header that is too long from one that just fits.
    header = Header.of(content, limits.header_bytes + 1)
    refusal = judge_header(header, limits)
    if refusal is not None:
        return refusal
    protocol = protocol_name(esmtp=origin.is_extended, tls=bool(origin.tls), utf8=mail.is_utf8)
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
    if header.needs_blank_line:
        head += b"\r\n"
    head += content
    envelope = Envelope(
        id,
        mail.sender,
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
    )
    return Accept(envelope, head)
