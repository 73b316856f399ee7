"""The envelope: who sent a mail, to whom, and how it came in.

It travels from receiver to deliverer and lies in the spool beside the content.
Addresses and DSN parameters stay the bytes the client sent (RFC 5321 section
4.1.2, RFC 3461 section 4); nothing here is decoded, folded or repaired.
"""

from msgspec import Struct

from relay.message.priority import Priority
from relay.message.uncertain import Uncertain


class Recipient(Struct, frozen=True, array_like=True):
    """One forward-path with its DSN parameters and the route chosen at RCPT."""

    address: bytes
    route: str
    notify: bytes = b""
    """NOTIFY as given, upper case (RFC 3461 section 4.1); empty when absent."""
    orcpt: bytes = b""
    """ORCPT as given, still xtext (RFC 3461 section 4.2); empty when absent."""


class Envelope(Struct, frozen=True, array_like=True):
    """All of a mail but its content."""

    id: int
    """Queue id, see `relay.message.queue_id`."""
    sender: bytes
    """Reverse-path without its angle brackets; empty is the null sender."""
    recipients: tuple[Recipient, ...]
    received_at: float
    """Seconds since the epoch at the end of the data."""
    size: int
    """Bytes of content as it will be sent: with the fields we added, before dot stuffing."""
    chunks: int
    """How many content records the spool holds for it; at least 1."""
    client: str
    """Address of the client, as text."""
    helo: bytes = b""
    is_8bit: bool = False
    """The client declared BODY=8BITMIME (RFC 6152)."""
    is_utf8: bool = False
    """The client declared SMTPUTF8 (RFC 6531)."""
    ret: bytes = b""
    """RET as given, FULL or HDRS (RFC 3461 section 4.3); empty when absent."""
    envid: bytes = b""
    """ENVID as given, still xtext (RFC 3461 section 4.4); empty when absent."""
    message_id: bytes = b""
    """The Message-ID field's value, for the trace; empty when it could not be read."""
    account: str = ""
    """Name of the client, by its login, its certificate or a network of its own; empty for one that has no name."""
    priority: Priority = Priority.NORMAL
    campaign: str = ""
    """What the mail belongs to, as its sender calls it; empty: nothing."""
    not_before: float = 0.0
    """Not to be tried before then, seconds since the epoch; 0: at once."""
    deadline: float = 0.0
    """Not to be tried after then, seconds since the epoch; 0: as long as its route allows."""
    original_sender: bytes | None = None
    """The reverse-path the client gave where we wrote another; None: `sender` is the client's own."""
    uncertain: Uncertain | None = None
    """What to do when the reply to its content is lost; None: as its route says."""
    subject: str = ""
    """As a person sees it, where the history is asked to keep it; else empty."""

    def routes(self) -> tuple[str, ...]:
        """The distinct routes of the recipients, in order of first use."""
        return tuple(dict.fromkeys(recipient.route for recipient in self.recipients))
