"""Events of what became of a mail's recipients, as far as it goes with each attempt."""

from relay.trace.event_kind import Kind, Level


class Delivered(Kind, frozen=True):
    """The next hop took the mail for these recipients."""

    id: str
    recipients: tuple[str, ...]
    route: str
    host: str
    reply: str
    attempts: int
    seconds: float
    """From the acceptance to the next hop's reply."""
    identity: str = ""
    """The mailbox that sent it."""
    session: str = ""
    """Microsoft's id of the session: its support finds the mail by it."""
    internal_id: str = ""
    """Microsoft's number of the mail."""
    remote: str = ""
    """The server of Microsoft's that has it."""
    level: Level = "info"


class Deferred(Kind, frozen=True):
    """These recipients will be tried again."""

    id: str
    recipients: tuple[str, ...]
    route: str
    host: str
    reply: str
    attempts: int
    next_attempt: float
    """Seconds since the epoch."""
    identity: str = ""
    session: str = ""
    level: Level = "warning"


class Held(Kind, frozen=True):
    """These recipients are kept, and not tried again, until somebody decides."""

    id: str
    recipients: tuple[str, ...]
    route: str
    host: str
    reply: str
    attempts: int
    identity: str = ""
    session: str = ""
    level: Level = "error"


class Failed(Kind, frozen=True):
    """These recipients will not get the mail, and it does not wait for anybody's decision."""

    id: str
    recipients: tuple[str, ...]
    route: str
    host: str
    reply: str
    attempts: int
    report: str
    """Who has been told, or why nobody."""
    identity: str = ""
    session: str = ""
    is_expired: bool = False
    """What was said last may still pass, but the mail is too old."""
    level: Level = "error"


class Uncertain(Kind, frozen=True):
    """The connection died between the final dot and its reply: the mail may have arrived."""

    id: str
    route: str
    host: str
    reason: str
    decision: str = "retry"
    """What becomes of it: retry (rather twice), hold (rather never), or ask (the message trace knows)."""
    level: Level = "warning"


class Spilled(Kind, frozen=True):
    """A mail takes another route than its own, which has used up a limit or has stopped."""

    id: str
    route: str
    to: str
    reason: str
    level: Level = "info"
