"""Events of sessions: who was turned away, refused, braked, and how a session ended."""

from msgspec import UNSET, UnsetType

from relay.trace.event_kind import Kind, Level


class SessionRefused(Kind, frozen=True):
    """A client was turned away before its first command."""

    client: str
    listener: str
    reason: str
    level: Level = "warning"


class SessionEnded(Kind, frozen=True):
    """A client's connection is over."""

    client: str
    listener: str
    reason: str
    mails: int
    seconds: float
    tls: str = ""
    account: str | UnsetType = UNSET
    """Name of the client that sent the last mail, where it has one."""
    level: Level = "info"


class CommandRefused(Kind, frozen=True):
    """A command or a mail got a 4xx or 5xx reply."""

    client: str
    listener: str
    command: str
    reply: str
    level: Level = "info"


class ClientBraked(Kind, frozen=True):
    """A client gets too much wrong and is held back or banned from now on."""

    client: str
    """Its address; its /64 in IPv6."""
    listener: str
    reason: str
    """logins, name, recipients, connections or sessions."""
    seconds: float
    """For so long, if it does not go on."""
    level: Level = "warning"
