"""Events of a mail on its way into the spool and the queue."""

from msgspec import UNSET, UnsetType

from relay.trace.event_kind import Kind, Level


class Accepted(Kind, frozen=True):
    """A mail is on the disk and its 250 is about to leave."""

    id: str
    message_id: str
    sender: str
    recipients: int
    size: int
    client: str
    helo: str
    seconds: float
    """From the end of the data to the end of the commit."""
    priority: str = "normal"
    campaign: str = ""
    original_sender: str | UnsetType = UNSET
    """What the client gave, where `sender` is ours."""
    original_from: str | UnsetType = UNSET
    """The address in From before it was rewritten."""
    from_left: str | UnsetType = UNSET
    """Why From could not be rewritten although a rule speaks of the sender."""
    account: str | UnsetType = UNSET
    """Name of the client that sent it, where it has one."""
    not_before: float | UnsetType = UNSET
    deadline: float | UnsetType = UNSET
    level: Level = "info"


class SpoofingSuspected(Kind, frozen=True):
    """A mail breaks a rule about whose name it may bear, and the rule only warns."""

    id: str
    client: str
    rule: str
    """The key in `[spoofing]`."""
    author: str
    """The address in From, or its domain; empty: there is not just one."""
    reason: str
    account: str = ""
    level: Level = "warning"


class AlignmentUnknown(Kind, frozen=True):
    """Nobody answered what a domain asks for by DMARC: its mail goes on, unjudged or by the last answer."""

    domain: str
    reason: str
    level: Level = "warning"


class SigningFailed(Kind, frozen=True):
    """A mail from a domain with a DKIM policy could not be signed."""

    id: str
    domain: str
    reason: str
    action: str
    """What was done with the mail: defer, unsigned or refuse."""
    level: Level = "error"


class MailQueued(Kind, frozen=True):
    """The deliverer has put a mail in its queue: what the history keeps of it."""

    id: str
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    size: int
    client: str
    account: str
    priority: str
    campaign: str
    received_at: float
    """Seconds since the epoch, as `not_before`."""
    not_before: float = 0.0
    subject: str = ""
    """Where the history is asked to keep it."""
    level: Level = "debug"
