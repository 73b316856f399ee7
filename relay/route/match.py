"""A match: what must be so for a mail to take a route, all of it at once.

Plain data; `relay.route.table` compares it with mails. A condition that is left empty
asks nothing.
"""

from dataclasses import dataclass
from enum import Enum

from relay.message.priority import Priority


class Side(Enum):
    """Where a recipient is, seen from the tenant (`relay.route.tenant`)."""

    INSIDE = "inside"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Match:
    """One `[[route.match]]` of the configuration; several of a route are alternatives."""

    senders: tuple[str, ...] = ()
    """Domains or addresses, as `relay.route.pattern` reads them; one of them must fit."""
    recipients: tuple[str, ...] = ()
    """Written alike; judged for each recipient by itself."""
    clients: tuple[str, ...] = ()
    """Networks in CIDR form, or names of clients that have proved who they are."""
    recipients_are: Side | None = None
    """Inside the tenant, or outside; judged for each recipient by itself."""
    larger_than_bytes: int = 0
    """The mail as it will be sent has more bytes than this; 0 asks nothing."""
    up_to_bytes: int = 0
    """It has at most as many; 0 asks nothing."""
    priorities: tuple[Priority, ...] = ()
    campaigns: tuple[str, ...] = ()
    """Names of campaigns, to the letter; with a `*` at the end, what they begin with.
    Mail of no campaign fits none of them, not `*` either."""


def network_like(client: str) -> bool:
    """Whether an entry of `clients` is meant as a network: no client has such a name."""
    return "/" in client or ":" in client or ("." in client and not set(client) - set("0123456789."))
