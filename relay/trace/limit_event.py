"""Events of what holds lanes up: limits, and breakers that open and close."""

from relay.trace.event_kind import Kind, Level


class Throttled(Kind, frozen=True):
    """Mail waits for a limit to give way; told for waits of a second or more, of each limit once a minute at most."""

    route: str
    limit: str
    """Which, and whose."""
    until: float
    """Seconds since the epoch; 0: until something that is under way has ended."""
    level: Level = "info"


class BreakerOpened(Kind, frozen=True):
    """Something stopped: its mail waits, and uses up no attempt."""

    scope: str
    """What: sender, sender as, sender domain, route, source address, forest, tenant; tenant, external."""
    key: str
    """Whose."""
    route: str
    """Where it was told."""
    reason: str
    """The reply, and the next step."""
    until: float
    """Seconds since the epoch, when one mail tries; 0: not before the administrator has acted."""
    level: Level = "warning"


class BreakerClosed(Kind, frozen=True):
    """It goes on."""

    scope: str
    key: str
    seconds: float
    """How long it had stopped."""
    level: Level = "info"


class LimitLearnt(Kind, frozen=True):
    """A limit that nobody publishes is believed to be another one."""

    scope: str
    key: str
    unit: str
    before: int
    after: int
    reply: str
    """What the next hop said."""
    level: Level = "info"
