"""What an administrator may set about the history."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from relay.errors import RelayError

FILE = "history.db"
"""In the spool's folder, unless told otherwise."""


class HistoryError(RelayError):
    """The history cannot be read or changed; mail has nothing to do with it."""


class Kept(Enum):
    """How much of a recipient's address is kept."""

    FULL = "full"
    HASHED = "hashed"
    """A keyed hash in place of what stands before the @: who knows the address finds its mails."""
    DOMAIN = "domain"
    """What stands behind the @ alone."""


@dataclass(frozen=True, slots=True)
class HistoryOptions:
    """Bounds, each with its reason."""

    path: Path
    enabled: bool = True
    keep_s: float = 2_592_000.0
    """By age: 30 days are beyond every retry, and a month is what people ask about."""
    max_size_bytes: int = 4_294_967_296
    """By size, the oldest mails go first: 4 GiB hold some 8 million steps."""
    recipients: Kept = Kept.FULL
    subject: bool = False
    """Whether a mail's subject is kept: it is content, and tells more of people than who wrote to whom."""
    queued_max: int = 65_536
    """Steps and recipients that wait for the disk, some 40 MB; more are dropped and counted. At 1,000 mails a
    second a disk may stand still for 30 s."""
