"""What becomes of a mail whose next hop died between the final dot and its reply.

It may have arrived and it may not; nobody can say. A newsletter that comes twice is a
nuisance and an invoice that never comes is a loss; with a payment it is the other way round.
"""

from enum import Enum


class Uncertain(Enum):
    """As its sender wants it."""

    RETRY = "retry"
    """Rather twice: send it again."""
    HOLD = "hold"
    """Rather never: keep it until somebody decides."""
    ASK = "ask"
    """Keep it, and ask Microsoft's message trace whether it arrived."""


class Then(Enum):
    """What becomes of one that is kept and that nobody has settled in time."""

    RETRY = "retry"
    """Send it again."""
    ARRIVED = "arrived"
    """Take it for delivered."""
    FAIL = "fail"
    """Give it up, and tell its sender that nobody knows."""
