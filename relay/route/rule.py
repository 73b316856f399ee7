"""The rules of a route: what its next hop takes, whatever a match says.

They follow from the route's kind (Direct Send takes recipients of the tenant only, High
Volume Email the account as its only sender) and from the mailboxes it has. A mail that
breaks one goes by the next route that matches, and is refused when there is none: to be
told at once is better than to wait for Microsoft's refusal.
"""

from collections.abc import Callable, Iterable
from enum import Enum

from relay.message.envelope import Envelope
from relay.route.mailbox import Mailboxes
from relay.route.route import Route
from relay.route.tenant import Tenant

Author = Callable[[], bytes | None]
"""Reads the one address in a mail's From, None when there is not just one. A function, since few mails need it."""


class Rule(Enum):
    """What a mail may break."""

    INTERNAL_ONLY = "the recipient is outside of the tenant"
    SENDER = "no mailbox of the route may send for the sender"
    AUTHOR = "From is not the sender"
    SIZE = "the mail is too large"
    CLIENT = "the client is held to other routes"


class Rules:
    """Of one route."""

    def __init__(self, route: Route, tenant: Tenant) -> None:
        """ValueError for a rule about mailboxes that names one the route does not have."""
        self._internal_only = route.internal_only
        self._size_max = route.message_size_bytes
        self._is_inside = tenant.is_inside
        self._mailboxes = Mailboxes(route)
        self._own = frozenset(login.username.lower().encode() for login in route.logins)
        self.sender_fixed = route.sender_fixed
        self.asks_for_sender = route.sender_fixed or bool(route.mailboxes)
        """There are senders that it does not take."""

    def take_recipient(self, address: bytes) -> bool:
        """Whether mail may go to this recipient."""
        return not self._internal_only or self._is_inside(address)

    def take_sender(self, sender: bytes) -> bool:
        """Whether a mailbox may send for this envelope sender."""
        if self.sender_fixed and sender.lower() not in self._own:
            return False
        return bool(self._mailboxes.of(sender))

    def take_size(self, size: int) -> bool:
        """Whether so many bytes may go."""
        return not self._size_max or size <= self._size_max

    def broken(self, envelope: Envelope, recipients: Iterable[bytes], author: Author) -> Rule | None:
        """The first rule that the mail would break on its way to these of its recipients."""
        if not all(map(self.take_recipient, recipients)):
            return Rule.INTERNAL_ONLY
        if not self.take_sender(envelope.sender):
            return Rule.SENDER
        if self.sender_fixed and not is_author(envelope.sender, author()):
            return Rule.AUTHOR
        return None if self.take_size(envelope.size) else Rule.SIZE


def is_author(sender: bytes, author: bytes | None) -> bool:
    """Whether From is the sender: Microsoft compares both with the account that logs in, which is the sender's own."""
    return author is not None and author.lower() == sender.lower()
