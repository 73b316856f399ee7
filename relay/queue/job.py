"""A job: one mail on its way over one route.

There may be a million of them, so a job holds only what decides when it is tried;
envelope, content and recipients' states are read from the spool when it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from relay.message.priority import Priority
from relay.message.queue_id import EPOCH_MS
from relay.queue.flow import Flow

if TYPE_CHECKING:
    from relay.queue.lane import Lane


class Seat(Protocol):
    """Where a job waits: among others, in an order."""

    def leave(self, job: Job) -> None:
        """It is withdrawn: what is left of it there is passed over, and it never comes back."""
        ...


class Job:
    """Mutable: it lives as long as its mail waits."""

    __slots__ = ("attempts", "flow", "has_state", "id", "lane", "losses", "priority", "seat")

    def __init__(
        self,
        id: int,
        lane: Lane,
        attempts: int = 0,
        has_state: bool = False,
        priority: Priority = Priority.NORMAL,
        flow: Flow | None = None,
    ) -> None:
        self.id = id
        self.lane = lane
        """Where it waits now."""
        self.flow = flow or Flow(lane.key.route)
        self.attempts = attempts
        """Tries that ended in an answer about this mail."""
        self.has_state = has_state
        """The spool knows more than the envelope: something was recorded about its recipients."""
        self.priority = priority
        self.losses = 0
        """Connections lost since the last answer, before anything of the content had left."""
        self.seat: Seat | None = None
        """None: it is under way, or on its way from one seat to another."""

    @property
    def home(self) -> str:
        """The route its recipients were given when the mail came, whichever it takes now."""
        return self.flow.home

    @property
    def queued_at(self) -> float:
        """About when the mail came, seconds since the epoch: its id says so (to the millisecond)."""
        return ((self.id >> 22) + EPOCH_MS) / 1000
