"""The learning mode: what an unknown device may do while it is let in."""

from dataclasses import dataclass

from relay.budget.ring import Counted, Per, Quota
from relay.identity.client import INSIDE, Policy
from relay.message.priority import Priority

CONNECTIONS = 10
"""Of one device, over all receivers: a printer has one or two."""


@dataclass(frozen=True, slots=True)
class LearningOptions:
    """`[learning]`; without the table nobody unknown is let in."""

    networks: tuple[str, ...]
    """Where unknown devices are let in; nowhere else, whoever says so."""
    route: str
    """Name of the one route that their mail takes."""
    until: float
    """Seconds since the epoch."""
    senders: tuple[str, ...]
    """As whom they send: the tenant's domains."""
    outside: bool = False
    """May they send to recipients that are not the tenant's own? Machines that do are few, and each is a leak."""
    devices: int = 256
    """Addresses that are let in, in all: whoever takes one address after the other finds an end."""
    messages_per_day: int = 100
    """Of one device. What sends more is an application, and gets a client of its own."""
    recipients_per_message: int = 10
    """Scanners and monitors send to a handful."""
    message_bytes: int = 26_214_400
    """25 MiB: a scan of a hundred pages."""

    def policy(self) -> Policy:
        """The same for each of them."""
        return Policy(
            senders=self.senders,
            authors=self.senders,
            recipients=None if self.outside else (INSIDE,),
            routes=(self.route,),
            priority_max=Priority.NORMAL,
            message_bytes=self.message_bytes,
            recipients_per_message=self.recipients_per_message,
            connections=CONNECTIONS,
            quotas=(Quota(Counted.MESSAGES, Per.DAY, self.messages_per_day),),
        )
