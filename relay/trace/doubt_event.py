"""Events of mails that are in doubt, and of whoever is asked about them."""

from relay.trace.event_kind import Kind, Level


class TraceAsked(Kind, frozen=True):
    """Microsoft's message trace was asked about a mail whose final reply was lost, and its answer settles nothing."""

    id: str
    route: str
    said: str
    """What it shows, and why that is not enough."""
    level: Level = "info"


class TraceUnavailable(Kind, frozen=True):
    """The message trace does not answer; told once for each reason. What is in doubt stays so meanwhile."""

    reason: str
    level: Level = "warning"
