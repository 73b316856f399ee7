"""Envelopes for choices."""

from relay.message.envelope import Envelope, Recipient
from relay.message.priority import Priority


def envelope(
    *recipients: bytes,
    sender: bytes = b"x@a.example",
    size: int = 1000,
    client: str = "10.0.0.1",
    account: str = "",
    priority: Priority = Priority.NORMAL,
    campaign: str = "",
) -> Envelope:
    """As it comes from RCPT, with the route not yet settled."""
    return Envelope(
        id=1,
        sender=sender,
        recipients=tuple(Recipient(each, "?") for each in recipients),
        received_at=0.0,
        size=size,
        chunks=1,
        client=client,
        account=account,
        priority=priority,
        campaign=campaign,
    )


def never() -> bytes | None:
    """An author nobody may ask for."""
    raise AssertionError("From was read")
