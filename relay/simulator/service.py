"""What a kind of endpoint must decide; the session asks, `submission`, `high_volume` and `mx` answer."""

from typing import Protocol

from relay.simulator.mail import Later, Mail
from relay.simulator.tenant import Visit


class Service(Protocol):
    """Replies are bytes without CRLF; one that begins with 2 lets the client go on."""

    name: str
    front: str
    """The host that greets."""
    offers_auth: bool
    """AUTH is offered, and without it nothing is taken; with it comes TLS."""
    message_size: int

    def keywords(self, is_secured: bool) -> tuple[bytes, ...]:
        """What EHLO offers, without the greeting."""
        ...

    def turn_away(self, now: float) -> bytes | None:
        """What a client is told that is not served at all."""
        ...

    def judge_sender(self, visit: Visit, sender: bytes, now: float) -> bytes:
        """The reply to MAIL."""
        ...

    def judge_recipient(self, visit: Visit, mail: Mail, recipient: bytes, now: float) -> bytes:
        """The reply to RCPT."""
        ...

    def judge_mail(self, visit: Visit, mail: Mail, now: float) -> bytes | Later:
        """The reply to the end of the data; a 250 is booked."""
        ...

    def enter(self) -> None:
        """A session begins."""
        ...

    def leave(self, visit: Visit) -> None:
        """It is over."""
        ...
