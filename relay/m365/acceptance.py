"""What Microsoft says when it has taken a mail: where it is, by which number, how large.

Two forms are known. After a login, with our own Message-ID and no number:

    250 2.0.0 OK <id@example.com> [Hostname=SYBP282MB2635.AUSP282.PROD.OUTLOOK.COM]

and at an MX host:

    250 2.6.0 <id@example.com> [InternalId=7619272024915, Hostname=SY4P282MB1257.AUSP282.PROD.OUTLOOK.COM]
    48435 bytes in 0.160, 294.858 KB/sec Queued mail for delivery

Neither is promised: what is not there stays empty, and a reply that has nothing of it
is no acceptance of this kind. Microsoft's support finds a mail by host and number, a
session by its id.
"""

import re
from dataclasses import dataclass

from relay.smtp.reply import Reply

_TAKEN = re.compile(
    r"(?:InternalId=([0-9]{1,20})(?:, *)?)?(?:Hostname=([^\s\],]{1,255}))?[^\]]*\](?: +([0-9]{1,12}) bytes)?",
    re.IGNORECASE,
)
_SESSION = re.compile(r"[\[ ]([0-9A-F]{16})\](?=\s|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Where a mail stands at Microsoft."""

    internal_id: str
    """Microsoft's number of the mail, digits; empty after a login."""
    host: str
    size: int
    """Bytes as Microsoft counts them; 0 where it does not say."""


def parse(reply: Reply) -> Acceptance | None:
    """What the reply to a mail's end tells; None when it is not positive, or tells nothing."""
    if not reply.is_positive:
        return None
    # From the last bracket on: a Message-ID is anybody's text and may hold brackets too.
    _, bracket, rest = " ".join(reply.lines).rpartition("[")
    found = _TAKEN.match(rest) if bracket else None
    if found is None or not (found.group(1) or found.group(2)):
        return None
    internal_id, host, size = found.groups()
    return Acceptance(internal_id or "", host or "", int(size or 0))


def session_id(reply: Reply) -> str:
    """The session's id, 16 hexadecimal digits, of a greeting or a refused login; empty when there is none."""
    found = _SESSION.findall(" ".join(reply.lines))
    return str(found[-1]) if found else ""
