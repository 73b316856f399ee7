"""Events of mail that came again under its idempotency key. Members of `relay.trace.event.Event`."""

from relay.trace.event_kind import Kind, Level


class MailRepeated(Kind, frozen=True):
    """A mail came whose idempotency key another one has: it was not taken."""

    id: str
    """Of the first."""
    client: str
    account: str
    is_same: bool
    """It was the same mail, and answered with 250; else another one, and refused."""
    level: Level = "info"


class IdempotencyKeysFull(Kind, frozen=True):
    """There are as many idempotency keys as are kept: the oldest go ahead of their time. Told once a minute."""

    kept: int
    level: Level = "warning"
