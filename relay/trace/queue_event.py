"""Events of the queue as a whole, and of campaigns in it."""

from relay.trace.event_kind import Kind, Level


class CampaignEnded(Kind, frozen=True):
    """Nothing of a campaign waits any more."""

    campaign: str
    mails: int
    delivered: int
    """Recipients, as all that follow."""
    failed: int
    held: int
    cancelled: int
    seconds: float
    """Since its first mail came."""
    forecast_error: float | None
    """How much later than was foreseen first, as part of its time; below 0: earlier; None: it was not."""
    level: Level = "info"


class QueueRebuilt(Kind, frozen=True):
    """The deliverer has read what the spool holds."""

    queued: int
    held: int
    damaged: int
    seconds: float
    level: Level = "info"


class QueueDepth(Kind, frozen=True):
    """How much waits, sampled once a second for the metrics."""

    ready: int
    deferred: int
    """Those that their senders do not want to leave yet (`postponed`) among them."""
    held: int
    connections: int
    oldest_seconds: float
    throttled: int = 0
    """Lanes in which mail waits for a limit, or for its hours."""
    stopped: int = 0
    """Mailboxes, routes, hosts and the like that have stopped for a trouble."""
    suspended: int = 0
    """Routes, mailboxes, campaigns and domains that somebody has stopped."""
    postponed: int = 0
    level: Level = "debug"
