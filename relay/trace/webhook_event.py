"""Events of webhooks: that something was told, could not be, or is missing. Members of `relay.trace.event.Event`."""

from relay.trace.event_kind import Kind, Level


class WebhookSent(Kind, frozen=True):
    """A receiver took a batch; at info when others had failed before."""

    webhook: str
    id: str
    """Of the batch: `webhook-id`."""
    events: int
    status: int
    seconds: float
    """How long the receiver took."""
    failures: int = 0
    """Attempts before this one."""
    level: Level = "debug"


class WebhookFailed(Kind, frozen=True):
    """A receiver did not take a batch: it gets the same one again, and nothing later before that."""

    webhook: str
    reason: str
    failures: int
    """Attempts so far."""
    next_attempt: float
    """Seconds since the epoch."""
    level: Level = "warning"


class WebhookGap(Kind, frozen=True):
    """The history lost steps before a webhook had told them; the next batch says so."""

    webhook: str
    steps: int
    """How many, wanted by it or not; 0: nobody knows, the history was begun anew."""
    reason: str
    level: Level = "error"


class WebhookMoved(Kind, frozen=True):
    """Somebody had a webhook tell again what it had told, or pass over what it had not."""

    webhook: str
    do: str
    """replay or skip."""
    by: str
    before: int
    """Its cursor: the number of the last step that was told."""
    after: int
    level: Level = "warning"


class WebhookTrouble(Kind, frozen=True):
    """A webhook cannot read the history or keep its cursor: it waits, and mail goes on. Told once a reason."""

    webhook: str
    reason: str
    level: Level = "error"


class WebhookLag(Kind, frozen=True):
    """How far a webhook is behind, for the metrics."""

    webhook: str
    steps: int
    """Of the history, wanted by it or not."""
    seconds: float
    """Age of the first event that waits."""
    level: Level = "debug"
