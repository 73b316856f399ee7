"""What a scan of the spool finds: a queued mail, or one that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from relay.message.envelope import Envelope
from relay.spool.change import RecipientState
from relay.spool.handover import Queued


@dataclass(frozen=True, slots=True)
class Entry:
    """One mail, as far as the queue must know it."""

    queued: Queued
    """With the routes on which somebody waits; all of the mail's while nothing happened to it."""
    state: tuple[RecipientState, ...] | None
    """None while nothing happened to it yet."""


class Mail(Struct, frozen=True):
    """One mail with all that is kept of it but its content."""

    envelope: Envelope
    states: tuple[RecipientState, ...]
    """In the envelope's order; of a mail to which nothing happened yet, as it came."""
    has_state: bool

    @property
    def id(self) -> int:
        """Of its envelope."""
        return self.envelope.id


@dataclass(frozen=True, slots=True)
class Damaged:
    """A mail whose envelope or state fails its check; `Store.quarantine` moves it aside."""

    id: int
    table: str
    reason: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some mails in order of id, of all that were looked at."""

    mails: list[Mail | Damaged]
    looked_at: int
    last: int
    """The id of the last one looked at; 0: there was none."""


@dataclass(frozen=True, slots=True)
class BudgetRows:
    """What the spool keeps of the budgets."""

    rows: tuple[tuple[bytes, bytes], ...] = ()
    damaged: tuple[tuple[bytes, str], ...] = ()
    """Keys of rows whose check sum does not fit, each with the reason."""
