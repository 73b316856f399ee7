"""What a scan of the spool finds: a queued mail, or one that cannot be read."""

from dataclasses import dataclass

from relay.spool.change import RecipientState
from relay.spool.handover import Queued


@dataclass(frozen=True, slots=True)
class Entry:
    """One mail, as far as the queue must know it."""

    queued: Queued
    state: tuple[RecipientState, ...] | None
    """None while nothing happened to it yet."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """A mail whose envelope or state fails its check; `Store.quarantine` moves it aside."""

    id: int
    table: str
    reason: str


@dataclass(frozen=True, slots=True)
class BudgetRows:
    """What the spool keeps of the budgets."""

    rows: tuple[tuple[bytes, bytes], ...] = ()
    damaged: tuple[tuple[bytes, str], ...] = ()
    """Keys of rows whose check sum does not fit, each with the reason."""
