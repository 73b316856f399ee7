"""Events of what senders are told, and of addresses that are no longer tried."""

from relay.trace.event_kind import Kind, Level


class Reported(Kind, frozen=True):
    """A mail of our own tells a sender what became of his."""

    id: str
    """Of the report."""
    about: str
    """Of the mail it tells of; empty: of many."""
    sender: str
    """Who is told."""
    kind: str
    """failed, delayed, relayed, or digest."""
    recipients: int
    """Told of; in a digest mails."""
    route: str
    level: Level = "info"


class RecipientSuppressed(Kind, frozen=True):
    """An address failed for good: for a time no mail is taken for it."""

    recipient: str
    until: float
    """Seconds since the epoch."""
    reply: str
    level: Level = "info"


class Unreported(Kind, frozen=True):
    """A sender should be told and cannot be: what failed is held."""

    id: str
    """Of the mail he should be told of; empty: of many, whose digest waits."""
    sender: str
    reason: str
    level: Level = "warning"
