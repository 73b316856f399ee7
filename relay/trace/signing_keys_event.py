"""Keys that tokens of clients are verified with. A member of `relay.trace.event.Event`."""

from relay.trace.event_kind import Kind, Level


class SigningKeysRead(Kind, frozen=True):
    """The authority told its keys, or did not: then those that are known are used on for a day. Told once for each reason."""

    authority: str
    keys: int
    """In force; 0: no token can be verified."""
    seconds: float = 0.0
    """How long it took."""
    reason: str = ""
    """Why there are no newer ones."""
    level: Level = "info"
