"""Events of connections to next hops, and of how these are found."""

from relay.trace.event_kind import Kind, Level


class ConnectionOpened(Kind, frozen=True):
    """A connection to a next hop is ready for mail."""

    route: str
    host: str
    tls: str
    seconds: float
    level: Level = "info"


class ConnectionFailed(Kind, frozen=True):
    """A connection to a next hop could not be made or was lost with trouble."""

    route: str
    host: str
    reason: str
    level: Level = "warning"


class ConnectionClosed(Kind, frozen=True):
    """A connection to a next hop is over, as planned."""

    route: str
    host: str
    reason: str
    mails: int
    level: Level = "debug"


class MxFound(Kind, frozen=True):
    """The MX hosts of a route are known, are others now, or cannot be looked up while those of before are used."""

    route: str
    domain: str
    hosts: tuple[str, ...]
    reason: str = ""
    """What is not as it should be."""
    level: Level = "info"
