"""What a report tells: the mail, who tells of it, and what became of its recipients.

Values only. `relay.message.dsn` makes a mail of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.message.envelope import Envelope
from relay.message.notify import Action
from relay.message.received import date_time

LAST_MOMENT = 253_402_300_799
"""The end of the year 9999: what is later cannot be written in a date, and may stand in a configuration."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one recipient."""

    address: bytes
    status: str
    """Such as 5.1.1 (RFC 3463)."""
    meaning: str
    """In plain words, a sentence."""
    advice: str = ""
    """What the sender can do, a sentence."""
    host: str = ""
    """The server that said so; empty: none did, it is our own finding."""
    reply: str = ""
    """What it said, code and all."""
    orcpt: bytes = b""
    """As given, still xtext."""
    attempted_at: float = 0.0
    """Seconds since the epoch; 0: it was never tried."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who reports."""

    hostname: str
    address: str
    """Of From."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is told; all fates are of one kind."""

    action: Action
    about: Envelope
    name: str
    """The mail's queue id, as people see it."""
    fates: Sequence[Fate]
    head: bytes
    """Its first content record."""
    at: float
    """When this became true, seconds since the epoch."""
    retry_until: float = 0.0
    """Of a delayed mail."""


def date(at: float) -> str:
    """A moment, seconds since the epoch, as a field or a text has it."""
    return date_time(int(min(max(at, 0.0), LAST_MOMENT))).decode()
