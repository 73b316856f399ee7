"""Events of clients that are turned away. Members of `relay.trace.event.Event`."""

from relay.trace.event_kind import Kind, Level


class SessionsRefused(Kind, frozen=True):
    """More clients were turned away than are told of one by one: how many, in some seconds."""

    listener: str
    reason: str
    """Empty: several, too many to tell apart."""
    sessions: int
    level: Level = "warning"
